"""A row of the fault matrix: what breaks, and what that may cost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.support.fault_scene import Scene


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, or several of a kind."""

    number: str
    """In the matrix that the suite is made after; a letter tells the parts of a row apart."""
    name: str
    """What breaks."""
    breaks: Callable[[Scene], Awaitable[None]]
    """Plays it on a scene without workers and requests; writes down when the fault began and ended."""
    waste: float | None = None
    """Executions beyond the first of each job, as a share of the accepted requests; None is not bounded."""
    executions: int = 2
    """Of one job."""
    repeated_events: int | None = None
    caught_up_seconds: float = 60.0
    """From the end of the fault until all that it held up is done."""

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}"
