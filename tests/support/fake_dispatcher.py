"""`python -m tests.support.fake_dispatcher POINT:TIMES`: the real dispatcher, which kills itself at a named point."""

import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from pipeline import environment
from pipeline.dispatcher import app, attempts, work
from pipeline.dispatcher.intake import Intake
from pipeline.dispatcher.work import DeliveryWork
from pipeline.state import offsets, recording
from tests.support.crash_points import kill_nine

MARGIN_SECONDS = 0.5
"""In place of a quarter of a minute each, so that what a dead dispatcher had claimed is soon attempted by the next."""


class DispatcherPoint(StrEnum):
    """Named for what has just happened."""

    PLANNED = "planned"
    """Rows, deliveries and offsets are written; the transaction has not ended."""
    KEPT = "kept"
    """It has ended; nothing was committed to the broker."""
    BEGUN = "begun"
    """A delivery is claimed, or was planned as claimed, and its attempt is next; nothing was sent."""
    SENT = "sent"
    """A receiver has the delivery; that is not written down."""
    RECORDING = "recording"
    """What came of attempts is written; the transaction has not ended."""
    RECORDED = "recorded"
    """It has ended."""


POINTS: dict[DispatcherPoint, tuple[Any, str]] = {
    DispatcherPoint.PLANNED: (offsets, "advance"),
    DispatcherPoint.KEPT: (Intake, "take"),
    DispatcherPoint.BEGUN: (DeliveryWork, "deliver"),
    DispatcherPoint.SENT: (DeliveryWork, "deliver"),
    DispatcherPoint.RECORDING: (recording, "record"),
    DispatcherPoint.RECORDED: (DeliveryWork, "record"),
}
"""What returns when the point is reached; but for `BEGUN`, where it is called."""


def dying(
    function: Callable[..., Awaitable[Any]], times: int, *, before: bool = False
) -> Callable[..., Awaitable[Any]]:
    """As `function`, and the end of this process when it has returned, or is called, for the `times`-th time."""
    left = times

    def reached() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            kill_nine()

    async def until_then(*arguments: Any, **named: Any) -> Any:
        if before:
            reached()
        found = await function(*arguments, **named)
        if not before:
            reached()
        return found

    return until_then


def main(told: str) -> int:
    """Exit code as `upscale dispatcher`, unless the point is reached."""
    work.CLAIM_MARGIN_SECONDS = MARGIN_SECONDS
    vars(work)["BEGIN_SECONDS"] = attempts.BEGIN_SECONDS = MARGIN_SECONDS
    point, _, times = told.partition(":")
    if point:
        place, name = POINTS[DispatcherPoint(point)]
        before = point == DispatcherPoint.BEGUN
        setattr(place, name, dying(getattr(place, name), int(times), before=before))
    return app.main(None, environment.load())  # type: ignore[arg-type]  # it takes no arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
