"""A receiver of webhooks on this machine, as a customer would write one: it verifies what arrives."""

import asyncio
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time

import orjson
from aiohttp import web

from pipeline.embedded.process import LOOPBACK
from schemas.webhooks import JobStatus, WebhookBody

TOLERANCE_SECONDS = 300
"""How far the timestamp may be from our clock; Standard Webhooks' own libraries allow as much."""

Secret = Callable[[], Awaitable[str]]
"""The `whsec_…` that deliveries are signed with."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery."""

    verified: bool
    body: WebhookBody
    late_seconds: float
    """After what it tells of."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Made by `receiving`."""

    url: str
    queue: "asyncio.Queue[Arrival]"

    async def of(self, jobs: set[str], seconds: float) -> list[Arrival]:
        """The first delivery for each job, in the order in which they came, without those that do not come in time."""
        found: dict[str, Arrival] = {}
        try:
            async with asyncio.timeout(seconds):
                while jobs - found.keys():
                    arrival = await self.queue.get()
                    if isinstance(arrival.body.data, JobStatus):
                        found.setdefault(arrival.body.data.job_id, arrival)
        except TimeoutError:
            pass
        return list(found.values())


@asynccontextmanager
async def receiving(secret: Secret) -> AsyncIterator[Arrivals]:
    """Answer at `url` until the block ends."""
    queue = asyncio.Queue[Arrival]()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        verified = genuine(request.headers, body, await secret(), time())
        told = WebhookBody.model_validate(orjson.loads(body))
        queue.put_nowait(Arrival(verified, told, time() - told.timestamp.timestamp()))
        return web.Response(status=204 if verified else 400)

    app = web.Application()
    app.add_routes([web.post("/webhook", receive)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield Arrivals(f"http://{LOOPBACK}:{runner.addresses[0][1]}/webhook", queue)
    finally:
        await runner.cleanup()


def genuine(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    """Whether the body was signed with `secret` a moment ago, as Standard Webhooks 1.0.0 says.

    Written out here, apart from what signs, so that the one checks the other.
    """
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = b64decode(secret.removeprefix("whsec_"))
    signed = b64encode(hmac.digest(key, f"{message}.{timestamp}.".encode() + body, "sha256")).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(each.encode(), f"v1,{signed}".encode()) for each in given)
