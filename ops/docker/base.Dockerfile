# The program without torch, for its tools and the dispatcher. Build from the repository root:
#   docker build -f ops/docker/base.Dockerfile -t upscale-base .
FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS build
WORKDIR /src
COPY requirements/installer.txt requirements/build.txt requirements/base.txt requirements/
RUN python -m venv /installer \
    && /installer/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/installer.txt \
    && /installer/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt \
    && /installer/bin/uv venv /opt/upscale
ENV VIRTUAL_ENV=/opt/upscale UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN /installer/bin/uv pip install --no-deps --require-hashes --only-binary :all: -r requirements/base.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY pipeline pipeline
# The wheel is made beside the environment, so that no build tool ends up in it.
RUN /installer/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheel . \
    && /installer/bin/uv pip install --no-deps --no-index /wheel/*.whl

FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254
LABEL org.opencontainers.image.title="upscale-base" \
      org.opencontainers.image.description="The dispatcher and the tools of upscale, without torch" \
      org.opencontainers.image.licenses="BSD-3-Clause"
RUN groupadd --system --gid 10001 upscale \
    && useradd --system --uid 10001 --gid upscale --no-create-home --home-dir /var/lib/upscale upscale \
    && install -d -o upscale -g upscale /var/lib/upscale
COPY --from=build /opt/upscale /opt/upscale
COPY LICENSE NOTICE /opt/upscale/
ENV PATH=/opt/upscale/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    UPSCALE_TELEMETRY__HOST=0.0.0.0
WORKDIR /var/lib/upscale
USER 10001:10001
STOPSIGNAL SIGTERM
# A tool runs and ends; a role that serves health brings its own check where it is deployed.
HEALTHCHECK NONE
ENTRYPOINT ["upscale"]
CMD ["doctor"]
