"""Event -> acknowledged by the broker, or an error."""

import asyncio
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline.errors import JobFailed
from pipeline.kafka.connection import answering_servers, connect, connection_options, stop_bounded
from pipeline.settings import KafkaSettings
from schemas.codec import Message
from schemas.failures import FailureCode
from schemas.topics import DEAD_LETTER_BYTES

Headers = tuple[tuple[str, bytes], ...]


class MessageTooLarge(JobFailed):
    """The broker will never take this message, however often it is sent."""

    def __init__(self, size: int) -> None:
        super().__init__(
            FailureCode.INTERNAL,
            f"event: larger than the broker accepts, got {size} bytes",
            {"size": size},
        )


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """All settings of the producer.

    Idempotence stays off: with it aiokafka retries without end while the broker hangs, and a lost sequence number
    fails every later send. Readers recognise repeats by the event's id anyway.
    """
    timeout_ms = int(settings.publish_timeout_seconds * 1000)
    return connection_options(settings) | {
        "acks": "all",
        "enable_idempotence": False,
        "max_request_size": DEAD_LETTER_BYTES,
        # What we have given up on is not sent any more by the producer either.
        "request_timeout_ms": min(settings.request_timeout_ms, timeout_ms),
    }


class Publisher:
    """A producer. Entering connects it and raises `ServiceUnreachable` when that fails; leaving stops it, bounded."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        options = producer_options(self._settings)
        producer = AIOKafkaProducer(bootstrap_servers=await answering_servers(self._settings), **options)
        try:
            await connect(self._settings, producer.start())
        except BaseException:
            await stop_bounded("producer", producer.stop())
            raise
        self._producer = producer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer is not None:
            await stop_bounded("producer", self._producer.stop())

    async def publish(self, topic: str, message: Message, *, headers: Headers = ()) -> None:
        """Return once all in-sync replicas have `message`, sent with its own headers and then `headers`.

        Raises `JobFailed` with BROKER_UNAVAILABLE after publish_timeout_seconds: whether it was written is then
        unknown, and sending it again is safe because its id derives from the job. Raises `MessageTooLarge`.
        """
        await self.send(topic, key=message.key, value=message.value, headers=(*message.headers, *headers))

    async def send(self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """As `publish`, for a record that is not an event of ours."""
        if self._producer is None:
            raise RuntimeError("the publisher is not connected: use `async with`")
        try:
            async with asyncio.timeout(self._settings.publish_timeout_seconds):
                await self._producer.send_and_wait(topic, key=key, value=value, headers=list(headers))
        except MessageSizeTooLargeError:
            raise MessageTooLarge(len(value or b"")) from None
        except (KafkaError, TimeoutError) as error:
            raise unacknowledged(self._settings.publish_timeout_seconds) from error


def unacknowledged(seconds: float) -> JobFailed:
    return JobFailed(
        FailureCode.BROKER_UNAVAILABLE,
        f"the event was not acknowledged within {seconds:g} seconds",
        {"limit_seconds": seconds},
    )
