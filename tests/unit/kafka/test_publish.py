"""The producer's settings and errors; what needs a broker is tested against one."""

import inspect

import pytest
from aiokafka import AIOKafkaProducer

from pipeline.kafka.publish import MessageTooLarge, Publisher, producer_options, unacknowledged
from pipeline.settings import KafkaSettings
from schemas.codec import Message
from schemas.failures import FailureCode

OPTIONS = producer_options(KafkaSettings(publish_timeout_seconds=4))


def test_event_counts_as_published_when_all_replicas_have_it() -> None:
    """An event that one broker alone has seen may be lost with it."""
    assert OPTIONS["acks"] == "all"


def test_producer_is_not_idempotent() -> None:
    """An idempotent aiokafka producer never gives up, and one lost sequence number fails everything after it."""
    assert OPTIONS["enable_idempotence"] is False


def test_producer_gives_up_no_later_than_we_do() -> None:
    """An event reported as unacknowledged is not sent behind our back minutes later."""
    assert OPTIONS["request_timeout_ms"] == 4000


def test_every_option_is_known_to_aiokafka() -> None:
    """A misspelt option would fail only when a process starts."""
    assert set(OPTIONS) <= set(inspect.signature(AIOKafkaProducer).parameters)


def test_missing_acknowledgement_fails_the_job_with_the_limit() -> None:
    """The caller learns that it was the broker, that trying again may help, and how long we waited."""
    failure = unacknowledged(15)
    assert failure.code is FailureCode.BROKER_UNAVAILABLE
    assert failure.kind.retryable
    assert failure.message == "the event was not acknowledged within 15 seconds"
    assert failure.details == {"limit_seconds": 15}


def test_message_that_is_too_large_says_how_large() -> None:
    """Which limit it broke is the broker's; its size is ours to tell."""
    assert MessageTooLarge(70).message == "event: larger than the broker accepts, got 70 bytes"


async def test_publisher_is_of_no_use_before_it_is_connected() -> None:
    """Using it outside of its block is a mistake of ours, said as such."""
    with pytest.raises(RuntimeError, match="not connected"):
        await Publisher(KafkaSettings()).publish("topic", Message(b"", b"", ()))
