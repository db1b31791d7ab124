"""Dispatchers as processes, with a broker that is their own, and a receiver."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from pipeline.embedded.process import Child, free_port
from pipeline.embedded.stack import is_ready, process_environment
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings, Settings, StateSettings, StoreSettings, TelemetrySettings, WebhookSettings
from pipeline.state.database import open_database
from pipeline.state.migrate import migrate
from schemas import codec
from schemas.callbacks import Webhook
from schemas.events import EventData, UpscaleCompleted, UpscaleRequested, event_from
from schemas.topics import Lane, declare
from tests.support.job_events import completed
from tests.support.webhooks import Receiver

READY_SECONDS = 60.0
STORE = StoreSettings(endpoint="http://127.0.0.1:1", access_key="test", secret_key=SecretStr("test"))
"""Never contacted: addresses of results are signed here."""


def dispatching(kafka: KafkaSettings, state: StateSettings, **webhook: object) -> Settings:
    """Settings of a dispatcher that may call this machine."""
    local = {"allow_http": True, "allow_private_addresses": True, "group": f"{kafka.topic_prefix}-dispatchers"}
    return Settings(
        kafka=kafka,
        state=state,
        store=STORE,
        webhook=WebhookSettings.model_validate({**local, **webhook}),
        telemetry=TelemetrySettings(log_level="info"),
    )


async def prepared(settings: Settings) -> None:
    """The tables of its database."""
    async with open_database(settings.state, migrating=True) as database:
        await migrate(database)


@asynccontextmanager
async def running(folder: Path, settings: Settings, crash: str | None = None) -> AsyncIterator[Child]:
    """A dispatcher; the real command, or one that dies where `crash` says. Its log is in `folder`."""
    own = settings.model_copy(update={"telemetry": settings.telemetry.model_copy(update={"port": free_port()})})
    argv = [sys.executable, "-m", "pipeline", "dispatcher"]
    if crash is not None:
        argv = [sys.executable, "-m", "tests.support.fake_dispatcher", crash]
    log = folder / f"dispatcher-{own.telemetry.port}.log"
    async with Child("dispatcher", argv, process_environment(own), log, stop_seconds=40.0) as child:
        if crash is None:
            await child.ready(lambda: is_ready(own), READY_SECONDS)
        yield child


class Platform:
    """What a platform and its workers say."""

    def __init__(self, publisher: Publisher, settings: Settings) -> None:
        self._publisher = publisher
        self._topics = declare(settings.kafka.topic_prefix, partitions=settings.kafka.partitions)

    async def ask(self, webhook: Webhook | None, tenant: str = "acme") -> UpscaleRequested:
        """A request that names a webhook."""
        asked = UpscaleRequested(job_id=str(uuid4()), tenant=tenant, source="https://example.com/a", webhook=webhook)
        await self.say(asked, self._topics.requests[Lane.BULK].name)
        return asked

    async def complete(self, asked: UpscaleRequested) -> UpscaleCompleted:
        """The end of its job."""
        done = completed().model_copy(update={"job_id": asked.job_id, "tenant": asked.tenant})
        await self.say(done)
        return done

    async def say(self, data: EventData, topic: str | None = None) -> None:
        event = event_from(data, source="/test", time=datetime.now(UTC))
        await self._publisher.publish(topic or self._topics.events.name, codec.encode(event))


@asynccontextmanager
async def platform(settings: Settings) -> AsyncIterator[Platform]:
    async with Publisher(settings.kafka) as publisher:
        yield Platform(publisher, settings)


async def until_called(receiver: Receiver, count: int, seconds: float = 60.0) -> None:
    """Return when so many calls have come. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while len(receiver.calls) < count:
            receiver.called.clear()
            await receiver.called.wait()
