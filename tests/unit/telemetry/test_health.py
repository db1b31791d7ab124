"""Health is answered truthfully, check by check, over a real socket."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from pipeline.errors import CannotListen
from pipeline.settings import TelemetrySettings
from pipeline.telemetry import health
from pipeline.telemetry.health import Checks, verdict

WELL: Checks = {"event_loop": lambda: None}
STARTING: Checks = {"state": lambda: "starting", "device": lambda: None}


def _raises() -> str | None:
    raise RuntimeError("secret detail")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    """A server that is live but not ready, on a free port."""
    async with health.serve(TelemetrySettings(port=0), live=WELL, ready=STARTING) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("path", ["/live", "/livez", "/healthz"])
async def test_live_answers_200_with_each_check(base: str, path: str) -> None:
    """Under our name and under those that orchestrators know."""
    async with aiohttp.ClientSession() as session, session.get(base + path) as answer:
        assert answer.status == 200
        assert await answer.json() == {"status": "ok", "checks": {"event_loop": "ok"}}


@pytest.mark.parametrize("path", ["/ready", "/readyz"])
async def test_ready_answers_503_and_why(base: str, path: str) -> None:
    """The failing check is named with its reason; the others are listed beside it."""
    async with aiohttp.ClientSession() as session, session.get(base + path) as answer:
        assert answer.status == 503
        assert await answer.json() == {"status": "failing", "checks": {"state": "starting", "device": "ok"}}


async def test_checks_are_asked_each_time(base: str) -> None:
    """A process that has become ready says so at the next question."""
    reason: list[str | None] = ["starting", None]
    settings = TelemetrySettings(port=0)
    async with (
        health.serve(settings, live=WELL, ready={"state": lambda: reason.pop(0)}) as port,
        aiohttp.ClientSession() as session,
    ):
        for status in (503, 200):
            async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                assert answer.status == status


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [(None, "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
async def test_metrics_are_in_the_format_that_was_asked_for(base: str, accept: str | None, content_type: str) -> None:
    """Prometheus negotiates; a person with a browser gets text."""
    headers = {"Accept": accept} if accept else {}
    async with aiohttp.ClientSession() as session, session.get(f"{base}/metrics", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == content_type
        assert "upscale_stage_in_progress" in await answer.text()


async def test_unknown_path_is_not_found(base: str) -> None:
    """Nothing else is served here."""
    async with aiohttp.ClientSession() as session, session.get(f"{base}/debug") as answer:
        assert answer.status == 404


def test_check_that_raises_counts_as_failing_and_hides_no_other() -> None:
    """A broken check must not look like a healthy process; what it raised is in the log, not in the answer."""
    found = verdict({"broken": _raises, "device": lambda: None})
    assert found == {"broken": "the check itself failed", "device": "ok"}


async def test_taken_port_is_told_with_its_setting() -> None:
    """Two workers on one machine is the usual cause."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port} .*set UPSCALE_TELEMETRY__PORT"):
            async with health.serve(TelemetrySettings(port=port), live=WELL, ready=WELL):
                pass
