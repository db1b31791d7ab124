"""One wrapper observes every stage the same way."""

import asyncio

import pytest
import structlog

from pipeline.errors import JobFailed
from pipeline.telemetry.stage import Timings, stage
from schemas.failures import FailureCode
from schemas.stages import Stage
from tests.support.exposition import sample

NAME = Stage.STITCH


class _Clock:
    """Each look is a second later."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1.0
        return self.time


def _failures(code: str, fault: str) -> float:
    return sample("upscale_stage_failures_total", stage=NAME, code=code, fault=fault)


def test_stage_measures_its_block() -> None:
    """Time into the histogram and into the job's own timings."""
    before = sample("upscale_stage_duration_seconds_sum", stage=NAME)
    timings = Timings()
    with stage(NAME, timings, now=_Clock()):
        pass
    assert sample("upscale_stage_duration_seconds_sum", stage=NAME) - before == 1.0
    assert timings.fields() == {"stitch_seconds": 1.0}


def test_stage_adds_up_what_it_was_entered_for() -> None:
    """A job may enter a stage more than once, for its colours and for its transparency."""
    timings = Timings()
    for _ in range(2):
        with stage(NAME, timings, now=_Clock()):
            pass
    assert timings.fields() == {"stitch_seconds": 2.0}


def test_stage_counts_who_is_inside_and_lets_everybody_out() -> None:
    """Also after a failure: a gauge that only grows would page somebody for nothing."""
    before = sample("upscale_stage_in_progress", stage=NAME)
    with stage(NAME):
        assert sample("upscale_stage_in_progress", stage=NAME) == before + 1
    assert sample("upscale_stage_in_progress", stage=NAME) == before
    with pytest.raises(RuntimeError), stage(NAME):
        raise RuntimeError("boom")
    assert sample("upscale_stage_in_progress", stage=NAME) == before


def test_stage_binds_its_name_to_log_lines_inside() -> None:
    """`stage=stitch` on the line is the module to open."""
    with stage(NAME):
        assert structlog.contextvars.get_contextvars()["stage"] == "stitch"
    assert "stage" not in structlog.contextvars.get_contextvars()


def test_stage_remembers_its_last_success_only_when_it_succeeds() -> None:
    """The alert on standing still depends on failures not moving it."""
    with pytest.raises(RuntimeError), stage(Stage.FACE):
        raise RuntimeError("boom")
    assert sample("upscale_stage_last_success_timestamp_seconds", stage=Stage.FACE) == 0.0
    with stage(Stage.FACE):
        pass
    assert sample("upscale_stage_last_success_timestamp_seconds", stage=Stage.FACE) > 1e9


def test_stage_counts_a_failed_job_under_its_code_and_fault() -> None:
    """`fault` decides whether somebody is paged."""
    before = _failures("image_corrupt", "caller")
    with pytest.raises(JobFailed), stage(NAME):
        raise JobFailed(FailureCode.IMAGE_CORRUPT, "image: is damaged")
    assert _failures("image_corrupt", "caller") == before + 1


def test_stage_counts_anything_unexpected_as_ours() -> None:
    """A bug is never charged to a caller."""
    before = _failures("internal", "system")
    with pytest.raises(KeyError), stage(NAME):
        raise KeyError("boom")
    assert _failures("internal", "system") == before + 1


def test_stage_does_not_count_cancellation_as_failure() -> None:
    """A stop is not an error; nor is it a success."""
    before = _failures("internal", "system")
    moved = sample("upscale_stage_last_success_timestamp_seconds", stage=NAME)
    with pytest.raises(asyncio.CancelledError), stage(NAME):
        raise asyncio.CancelledError
    assert _failures("internal", "system") == before
    assert sample("upscale_stage_last_success_timestamp_seconds", stage=NAME) == moved
