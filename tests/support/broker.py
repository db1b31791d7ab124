"""A real broker for tests, and short ways to use it."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import TypeVar
from uuid import uuid4

from pipeline.kafka.admin import administration
from pipeline.settings import KafkaSettings
from schemas.topics import Topics, declare

Running = TypeVar("Running")


@contextmanager
def outliving_loops(server: AbstractAsyncContextManager[Running]) -> Iterator[Running]:
    """`server` as a plain context manager: it outlives any one test's event loop."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(stack.enter_async_context(server))
        finally:
            runner.run(stack.aclose())


def broker_settings(servers: str, *, prefix: str | None = None) -> KafkaSettings:
    """Settings for a test of its own: fresh topics and group, and timeouts that suit the embedded broker."""
    prefix = prefix or f"t-{uuid4().hex[:12]}"
    return KafkaSettings(
        servers=servers,
        topic_prefix=prefix,
        group=f"{prefix}-group",
        partitions=2,
        session_timeout_ms=2000,
        heartbeat_interval_ms=400,
        rebalance_timeout_ms=6000,
        request_timeout_ms=15000,
        revoke_budget_seconds=2.0,
        commit_interval_seconds=0.05,
    )


async def created_topics(settings: KafkaSettings) -> Topics:
    """The topics of `settings`, created."""
    topics = declare(settings.topic_prefix, partitions=settings.partitions)
    async with administration(settings) as admin:
        await admin.create(topics.all())
    return topics
