"""Guarantees of pipeline.telemetry.liveness."""

from dataclasses import dataclass

from pipeline.telemetry.liveness import STALLED_SECONDS, polling
from tests.support.clock import FakeClock


@dataclass(slots=True)
class Consumer:
    """Something that polled once."""

    last_poll: float | None


def test_polling_is_red_after_a_minute_of_silence_and_green_again_with_the_next_poll() -> None:
    """A stall is told with the limit and how long it has lasted; a rebalance of its longest is none."""
    clock, consumer = FakeClock(1000.0), Consumer(1000.0)
    check = polling(consumer, clock)
    assert check() is None
    clock.advance(STALLED_SECONDS)
    assert check() is None
    clock.advance(15.0)
    assert check() == "last poll: limit 60 s, 75 s ago"
    consumer.last_poll = clock()
    assert check() is None


def test_polling_allows_for_the_longest_rebalance() -> None:
    """Restarting workers because they rebalance would make them rebalance again."""
    assert polling(Consumer(0.0), FakeClock(20.0))() is None


def test_polling_that_has_not_begun_is_no_stall() -> None:
    """A worker that loads its weights, or waits for a broker to come back, is not restarted for it."""
    assert polling(Consumer(None), FakeClock(3600.0))() is None
