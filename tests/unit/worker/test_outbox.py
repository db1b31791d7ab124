"""Guarantees of pipeline.worker.outbox that need no broker; tests/integration/worker has the others."""

import asyncio

import pytest

from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from pipeline.worker.outbox import LONGEST_PAUSE_SECONDS, Outbox, longest_pause, transition
from schemas.events import UpscaleCompleted, UpscaleProgress, UpscaleStarted, event_id
from schemas.stages import Stage
from schemas.topics import declare
from tests.support.clock import run_virtual


def progress(done: int) -> UpscaleProgress:
    return UpscaleProgress(job_id="cat-1", stage=Stage.BATCH, tiles_done=done, tiles_total=9)


def test_progress_has_an_id_for_each_count_and_every_other_event_one_for_good() -> None:
    """A reader that drops ids it has seen hears each step once, and each ending once."""
    ids = [event_id("default", "cat-1", transition(each)) for each in (progress(1), progress(2), progress(1))]
    assert ids[0] == ids[2] != ids[1]
    assert transition(UpscaleStarted(job_id="cat-1")) == UpscaleStarted.type
    assert UpscaleCompleted.type not in ids


def test_pause_doubles_up_to_a_bound() -> None:
    """A short hiccup is over soon, and a long outage is not hammered on; no number of attempts overflows."""
    assert [longest_pause(attempt) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert longest_pause(6) == longest_pause(10**9) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("attempt", [1, 3, 100])
def test_pause_is_jittered_but_never_short(attempt: int) -> None:
    """Workers that lost the broker at one moment do not all come back at one moment."""
    settings = KafkaSettings()
    outbox = Outbox(Publisher(settings), declare(), "/test")

    async def paused() -> float:
        await outbox.pause(attempt)
        return asyncio.get_running_loop().time()

    lengths = {run_virtual(paused()) for _ in range(8)}
    assert len(lengths) > 1
    assert all(longest_pause(attempt) / 2 <= length <= longest_pause(attempt) for length in lengths)
