"""A web server that has a picture, but not the first times it is asked for."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.s3_faults import LOOPBACK


@dataclass(slots=True)
class FlakySource:
    """Every path is the picture; each answers 503 to its first `refusals` requests."""

    picture: bytes
    refusals: int
    root: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    """How often, by path."""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked[request.path] += 1
        if self.asked[request.path] <= self.refusals:
            return web.Response(status=503)
        return web.Response(body=self.picture, content_type="image/png")


@asynccontextmanager
async def flaky_source(picture: bytes, *, refusals: int) -> AsyncIterator[FlakySource]:
    """Listening at its `root`."""
    source = FlakySource(picture, refusals)
    runner = web.ServerRunner(web.Server(source.serve, access_log=None), shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        source.root = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield source
    finally:
        await runner.cleanup()
