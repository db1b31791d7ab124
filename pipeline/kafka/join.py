"""Joining the group: patient with a broker that is busy, not with one that refuses."""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from pipeline.errors import ServiceUnreachable
from pipeline.kafka.connection import answering_servers, stop_bounded, unreachable
from pipeline.patience import jittered_back_off
from pipeline.settings import KafkaSettings

REFUSALS = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""Errors that trying again does not heal."""

log = structlog.get_logger(__name__)


async def join(
    settings: KafkaSettings, create: Callable[[list[str]], AIOKafkaConsumer], *, give_up_seconds: float
) -> AIOKafkaConsumer:
    """A started client that has its assignment, made by `create` from the servers that answer.

    aiokafka may raise from a start for what passes, such as a rebalance at the wrong moment, and a client that failed
    once is of no further use: each try has a new one. Raises `ServiceUnreachable` after `give_up_seconds`, or at once
    when we are not allowed to join.
    """
    deadline = asyncio.get_running_loop().time() + give_up_seconds
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await _started(create(await answering_servers(settings)))
        except (KafkaError, TimeoutError, ServiceUnreachable) as error:
            log.warning("join_failed", error=repr(error))
            if isinstance(error, REFUSALS) or asyncio.get_running_loop().time() >= deadline:
                raise unreachable(settings, f"joining group {settings.group} failed with {error!r}") from error
        await asyncio.sleep(jittered_back_off())


async def _started(client: AIOKafkaConsumer) -> AIOKafkaConsumer:
    try:
        await client.start()
    except BaseException:
        await stop_bounded("consumer", client.stop())
        raise
    return client
