"""A history sorted by what it is about, and what it cost."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.history import Accepted, Begun, Ended, Entry, FaultEnded, History, Told, Unknown

Job = tuple[str, str]
"""Tenant and job id: jobs of two tenants may share a name."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What a run cost."""

    accepted: int
    executions: int
    extra_executions: int
    """Beyond the first of each job."""
    repeated_events: int
    recovery_seconds: dict[str, float | None]
    """By fault: from its end to the next completion. None when nothing completed after it."""
    caught_up_seconds: dict[str, float | None]
    """By fault: from its end until all that was accepted before had ended. None when that never was."""


@dataclass(slots=True)
class Facts:
    """Of one history, by job."""

    history: History
    accepted: dict[Job, Accepted] = field(default_factory=dict)
    unknown: set[Job] = field(default_factory=set)
    told: dict[Job, list[Told]] = field(default_factory=dict)
    """In the order in which they were told; never empty."""
    executions: Counter[Job] = field(default_factory=Counter)
    """Those that reached the device, or may have."""

    def __post_init__(self) -> None:
        for entry in self.history.entries:
            match entry:
                case Accepted():
                    self.accepted[entry.tenant, entry.job_id] = entry
                case Unknown():
                    self.unknown.add((entry.tenant, entry.job_id))
                case Told():
                    self.told.setdefault((entry.tenant, entry.job_id), []).append(entry)
                case Begun():
                    self.executions[entry.tenant, entry.job_id] += 1
                case Ended(computed=False):
                    self.executions[entry.tenant, entry.job_id] -= 1

    @property
    def asked(self) -> set[Job]:
        return self.unknown | self.accepted.keys()

    @property
    def extra_executions(self) -> int:
        return sum(times - 1 for times in self.executions.values() if times > 1)

    @property
    def repeated_events(self) -> int:
        return sum(len(told) - 1 for told in self.told.values())

    def recoveries(self) -> Iterator[tuple[FaultEnded, float | None]]:
        """Each fault that ended, and the seconds from then to the next completion; None when there was none."""
        for fault in self.history.entries:
            if isinstance(fault, FaultEnded):
                completions = (each for each in self.history.entries if self._shows_recovery(each, fault))
                yield fault, next((each.at - fault.at for each in completions), None)

    def _shows_recovery(self, entry: Entry, fault: FaultEnded) -> bool:
        if not isinstance(entry, Told) or entry.state != "completed" or entry.at < fault.at:
            return False
        workers = {
            each.worker
            for each in self.history.entries
            if isinstance(each, Begun)
            and (each.tenant, each.job_id) == (entry.tenant, entry.job_id)
            and each.at <= entry.at
        }
        return workers != {fault.killed}

    def caught_up(self, fault: FaultEnded) -> float | None:
        """Seconds from the fault's end until all that was accepted before it had ended; None when that never was."""
        jobs = [job for job, accepted in self.accepted.items() if accepted.at <= fault.at]
        ends = [self.told[job][0].at for job in jobs if job in self.told]
        waiting = sum(self.accepted[job].expected.state != "parked" for job in jobs)
        return max(0.0, max(ends, default=fault.at) - fault.at) if len(ends) >= waiting else None

    def left_to_do(self, at: float) -> bool:
        """Whether a request that must complete had been accepted by then and had not ended."""
        return any(
            accepted.at <= at
            and accepted.expected.state == "completed"
            and all(told.at > at for told in self.told.get(job, ()))
            for job, accepted in self.accepted.items()
        )


def measure(history: History) -> Measures:
    """What the run cost, whether or not it was right."""
    facts = Facts(history)
    return Measures(
        accepted=len(facts.accepted),
        executions=facts.executions.total(),
        extra_executions=facts.extra_executions,
        repeated_events=facts.repeated_events,
        recovery_seconds={fault.name: recovery for fault, recovery in facts.recoveries()},
        caught_up_seconds={fault.name: facts.caught_up(fault) for fault, _ in facts.recoveries()},
    )
