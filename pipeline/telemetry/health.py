"""Liveness, readiness and /metrics over HTTP.

/live says whether a restart would help, /ready whether work is taken; neither fails because of somebody else's outage
unless its checks say so.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import orjson
import structlog
from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from pipeline.errors import CannotListen
from pipeline.settings import TelemetrySettings, variable

log = structlog.get_logger()

Check = Callable[[], str | None]
"""Why something is not well, or None. Answers at once: it reads what others have measured."""
Checks = Mapping[str, Check]


@asynccontextmanager
async def serve(settings: TelemetrySettings, *, live: Checks, ready: Checks) -> AsyncIterator[int]:
    """Answer until the block ends; yields the port. Raises `CannotListen`."""
    runner = web.AppRunner(application(live=live, ready=ready), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        port = await _listen(runner, settings)
        log.info("health_listening", host=settings.host, port=port)
        yield port
    finally:
        await runner.cleanup()


def application(*, live: Checks, ready: Checks) -> web.Application:
    """The routes, by our names and by those that Kubernetes uses."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/live", _answering(live)),
            web.get("/livez", _answering(live)),
            web.get("/healthz", _answering(live)),
            web.get("/ready", _answering(ready)),
            web.get("/readyz", _answering(ready)),
            web.get("/metrics", _metrics),
        ]
    )
    return app


def verdict(checks: Checks) -> dict[str, str]:
    """Every check by name, with `ok` or the reason. A check that raises is not ok, and hides no other."""
    return {name: _reason(name, check) or "ok" for name, check in checks.items()}


def _reason(name: str, check: Check) -> str | None:
    try:
        return check()
    except Exception:
        log.exception("health_check_failed", check=name)
        return "the check itself failed"


async def _listen(runner: web.AppRunner, settings: TelemetrySettings) -> int:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise CannotListen(
            "health and metrics",
            settings.host,
            settings.port,
            variable("telemetry", "port"),
            os.strerror(error.errno).lower() if error.errno else "refused",
        ) from None
    return int(runner.addresses[0][1])


def _answering(checks: Checks) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.Response:
        found = verdict(checks)
        well = all(reason == "ok" for reason in found.values())
        body = orjson.dumps({"status": "ok" if well else "failing", "checks": found})
        return web.Response(body=body, status=200 if well else 503, content_type="application/json")

    return answer


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})
