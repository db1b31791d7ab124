# The worker, for CPU and CUDA alike: torch's Linux wheels bring both. Build from the repository root:
#   docker build -f ops/docker/worker.Dockerfile -t upscale-worker .
FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS build
WORKDIR /src
COPY requirements/installer.txt requirements/build.txt requirements/worker.txt requirements/
RUN python -m venv /installer \
    && /installer/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/installer.txt \
    && /installer/bin/uv venv /opt/upscale
ENV VIRTUAL_ENV=/opt/upscale UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# Without isolation, so that an sdist is built with the pinned tools of build.txt and nothing else is fetched for it.
RUN /installer/bin/uv pip install --no-deps --require-hashes -r requirements/build.txt \
    && /installer/bin/uv pip install --no-deps --require-hashes --no-build-isolation -r requirements/worker.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY pipeline pipeline
RUN /installer/bin/uv pip install --no-deps --no-index --no-build-isolation .

FROM python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254
LABEL org.opencontainers.image.title="upscale-worker" \
      org.opencontainers.image.description="Upscales images from Kafka requests with Real-ESRGAN and GFPGAN" \
      org.opencontainers.image.licenses="BSD-3-Clause"
# A new volume takes over the owner of the folder it is mounted on.
RUN groupadd --system --gid 10001 upscale \
    && useradd --system --uid 10001 --gid upscale --no-create-home --home-dir /var/lib/upscale upscale \
    && install -d -o upscale -g upscale /var/lib/upscale /var/lib/upscale/models
COPY --from=build /opt/upscale /opt/upscale
COPY LICENSE NOTICE /opt/upscale/
# The last: on a GPU blocks of memory grow where they are, so that windows of many sizes leave no holes between them.
ENV PATH=/opt/upscale/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    UPSCALE_TELEMETRY__HOST=0.0.0.0 \
    UPSCALE_DEVICE__MODELS_DIR=/var/lib/upscale/models \
    PYTORCH_ALLOC_CONF=expandable_segments:True
WORKDIR /var/lib/upscale
USER 10001:10001
EXPOSE 9100
STOPSIGNAL SIGTERM
# Loading models and measuring the device takes its time on a CPU.
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --start-interval=3s --retries=4 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/ready', timeout=4)"]
ENTRYPOINT ["upscale"]
CMD ["worker"]
