"""`with stage(Stage.DECODE)`: time, count, bind and classify. One wrapper for all stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, time

import structlog

from pipeline.errors import JobFailed
from pipeline.telemetry import metrics
from schemas.failures import FailureCode, Fault
from schemas.stages import Stage


@dataclass(slots=True)
class Timings:
    """Seconds per stage of one job, for its canonical log line."""

    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, elapsed: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed

    def fields(self) -> dict[str, float]:
        return {f"{stage}_seconds": round(elapsed, 4) for stage, elapsed in self.seconds.items()}


@contextmanager
def stage(name: Stage, timings: Timings | None = None, *, now: Callable[[], float] = monotonic) -> Iterator[None]:
    """Observe the block as one stage of one job. Exceptions pass through unchanged.

    A `JobFailed` counts under its code; anything else under `internal`. Cancellation is not a failure.
    """
    started = now()
    metrics.STAGE_IN_PROGRESS.labels(name).inc()
    with structlog.contextvars.bound_contextvars(stage=str(name)):
        try:
            yield
        except JobFailed as failure:
            metrics.STAGE_FAILURES.labels(name, failure.code, failure.kind.fault).inc()
            raise
        except Exception:
            metrics.STAGE_FAILURES.labels(name, FailureCode.INTERNAL, Fault.SYSTEM).inc()
            raise
        else:
            metrics.STAGE_LAST_SUCCESS.labels(name).set(time())
        finally:
            elapsed = now() - started
            metrics.STAGE_IN_PROGRESS.labels(name).dec()
            metrics.STAGE_SECONDS.labels(name).observe(elapsed)
            if timings is not None:
                timings.add(name, elapsed)
