"""What tells the events of one job apart; tests/integration/worker says them to a broker."""

from pipeline.worker.outcome import transition
from schemas.events import UpscaleCompleted, UpscaleProgress, UpscaleStarted, event_id
from schemas.stages import Stage


def progress(done: int) -> UpscaleProgress:
    return UpscaleProgress(job_id="cat-1", stage=Stage.BATCH, tiles_done=done, tiles_total=9)


def test_progress_has_an_id_for_each_count_and_every_other_event_one_for_good() -> None:
    """A reader that drops ids it has seen hears each step once, and each ending once."""
    ids = [
        event_id("default", "cat-1", transition(each) or each.type) for each in (progress(1), progress(2), progress(1))
    ]
    assert ids[0] == ids[2] != ids[1]
    assert transition(UpscaleStarted(job_id="cat-1")) is None
    assert UpscaleCompleted.type not in ids
