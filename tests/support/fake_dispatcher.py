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
    CLAIMED = "claimed"
    """Deliveries are claimed; nothing was sent."""
    SENT = "sent"
    """A receiver has the delivery; that is not written down."""
    RECORDING = "recording"
    """What came of attempts is written; the transaction has not ended."""
    RECORDED = "recorded"
    """It has ended."""


POINTS: dict[DispatcherPoint, tuple[Any, str]] = {
    DispatcherPoint.PLANNED: (offsets, "advance"),
    DispatcherPoint.KEPT: (Intake, "take"),
    DispatcherPoint.CLAIMED: (DeliveryWork, "claim"),
    DispatcherPoint.SENT: (DeliveryWork, "deliver"),
    DispatcherPoint.RECORDING: (recording, "record"),
    DispatcherPoint.RECORDED: (DeliveryWork, "record"),
}
"""What returns when the point is reached."""


def dying_after(function: Callable[..., Awaitable[Any]], times: int) -> Callable[..., Awaitable[Any]]:
    """As `function`, and the end of this process when it has returned something for the `times`-th time."""
    left = times

    async def until_then(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        found = await function(*arguments, **named)
        # A claim that found nothing is no point to die at.
        left -= found != []
        if left <= 0:
            kill_nine()
        return found

    return until_then


def main(told: str) -> int:
    """Exit code as `upscale dispatcher`, unless the point is reached."""
    work.CLAIM_MARGIN_SECONDS = MARGIN_SECONDS
    vars(work)["BEGIN_SECONDS"] = attempts.BEGIN_SECONDS = MARGIN_SECONDS
    point, _, times = told.partition(":")
    if point:
        place, name = POINTS[DispatcherPoint(point)]
        setattr(place, name, dying_after(getattr(place, name), int(times)))
    return app.main(None, environment.load())  # type: ignore[arg-type]  # it takes no arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
