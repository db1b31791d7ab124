"""Play a row on a site, and judge it."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pipeline.kafka.consume import CAPACITY
from pipeline.lifecycle import Exit
from schemas.topics import Lane
from tests.fault.matrix.row import Row
from tests.support.checker import check
from tests.support.fault_scene import Scene, scene
from tests.support.fault_site import IN_HAND, Site
from tests.support.history import History, Limits
from tests.support.mutations import Mutation
from tests.support.run_facts import Facts, Measures, measure
from tests.support.s3_faults import HEALTHY

QUIET_SECONDS = 60.0
"""So long all that was accepted may take to end once nothing is broken any more."""
PLAY_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a row ended."""

    row: Row
    seed: int
    seconds: float
    violations: tuple[str, ...]
    """Of the rules, and of how workers must end."""
    rules: frozenset[str]
    cost: Measures


async def play(
    row: Row,
    place: Site,
    folder: Path,
    *,
    seed: int,
    mutation: Mutation | None = None,
    quiet_seconds: float = QUIET_SECONDS,
) -> Outcome:
    """Play it to its quiet end, or for as long as it may take: what has not ended by then is lost."""
    began, wrong = monotonic(), []
    async with scene(place, folder, seed=seed, mutation=mutation) as played:
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                await row.breaks(played)
        except (AssertionError, TimeoutError) as unexpected:
            wrong.append(f"play: {unexpected!r}")
        await place.heal()
        place.store_line.switch(HEALTHY)
        with suppress(TimeoutError):
            async with asyncio.timeout(quiet_seconds):
                await played.run.left(0)
                await played.run.committed()
        wrong += await leave(played)
        history = await played.run.history(Limits(), place.store_line.writes)
    history = limited(history, row)
    found = check(history)
    rules = frozenset(each.rule.name for each in found)
    return Outcome(row, seed, monotonic() - began, (*map(str, found), *wrong), rules, measure(history))


async def leave(played: Scene) -> list[str]:
    """Stop the workers that are left; how they should not have ended."""
    left = [worker for worker in played.workers if worker.running]
    statuses = await asyncio.gather(*(worker.stop() for worker in left))
    return [
        f"worker {worker.pid} ended with {status}"
        for worker, status in zip(left, statuses, strict=True)
        if status != Exit.CLEAN
    ]


def limited(history: History, row: Row) -> History:
    """With what the row may cost, now that it is known of how many requests."""
    accepted = len(Facts(history).accepted)
    return history.model_copy(
        update={
            "limits": Limits(
                extra_executions=None if row.waste is None else math.ceil(row.waste * accepted),
                executions_of_a_job=row.executions,
                jobs_in_hand=IN_HAND * len(Lane),
                records_held=(CAPACITY + 1) * len(Lane),
                repeated_events=row.repeated_events,
                caught_up_seconds=row.caught_up_seconds,
            )
        }
    )
