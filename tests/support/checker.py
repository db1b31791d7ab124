"""What must hold of every run, whatever broke: a pure function from a history to what is wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.events import TYPE_PREFIX, event_id
from tests.support.history import Begun, Ended, FoundObject, History, Holding, Stopping, Told
from tests.support.run_facts import Facts, Job


class Rule(StrEnum):
    """What may be violated."""

    LOST = "an accepted request has no end"
    TWO_ENDS = "a request has ended in two ways"
    EVENT_ID = "a terminal event's id does not follow from its request"
    CHANGED = "a repeated terminal event says something else than before"
    UNEXPECTED = "a request has ended otherwise than it must"
    NOT_KEPT = "a record that must be kept is no dead letter"
    NOT_ASKED = "something was done for nobody"
    NO_OBJECT = "a completed request has no object"
    DIGEST = "an object is not what its event says"
    PICTURE = "a result is not the picture it must be"
    STRAY = "an object that no event names"
    OVERWRITTEN = "a result was written over"
    UPLOAD = "an upload that nobody finished"
    UNCOMMITTED = "what was committed is not all there was"
    WASTE = "more was repeated than may be"
    REPEATED = "one job was executed more often than may be"
    TOLD_AGAIN = "more ends were told again than may be"
    IN_HAND = "a worker held more jobs than may be"
    HOARDED = "a worker took more records than it has places for"
    BEGUN_LATE = "a worker that was asked to stop took another job"
    RECOVERY = "work went on too late after a fault"
    CAUGHT_UP = "what a fault held up was done too late"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong."""

    rule: Rule
    subject: str
    """Which job, object, partition, worker or fault."""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject} {self.detail}".rstrip()


def check(history: History) -> list[Violation]:
    """All that is wrong with the run, in the order of the rules; empty when nothing is."""
    run = Facts(history)
    return [violation for rule in _RULES for violation in rule(run)]


def _ends(run: Facts) -> Iterator[Violation]:
    parked = {letter.key: letter.reason for letter in run.history.final.dead_letters}
    for job, accepted in run.accepted.items():
        must = accepted.expected
        ends = [(told.state, told.code) for told in run.told.get(job, ())]
        kept = parked.get(accepted.job_id)
        if must.kept and kept != must.code:
            yield Violation(Rule.NOT_KEPT, _name(job), f"must be there for {must.code}, is for {kept}")
        if kept is not None and not must.kept:
            ends.append(("parked", kept))
        if not ends:
            yield Violation(Rule.LOST, _name(job))
        elif len({state for state, _ in ends}) > 1:
            yield Violation(Rule.TWO_ENDS, _name(job), " and ".join(state for state, _ in ends))
        elif ends[0] != (must.state, must.code):
            yield Violation(Rule.UNEXPECTED, _name(job), f"must be {must.state} {must.code}, is {ends[0]}")


def _events(run: Facts) -> Iterator[Violation]:
    for job, told in run.told.items():
        for each in told:
            if each.event_id != event_id(*job, f"{TYPE_PREFIX}{each.state}.v1"):
                yield Violation(Rule.EVENT_ID, _name(job), each.event_id)
        facts = {each.model_copy(update={"at": 0.0, "event_id": ""}) for each in told}
        if len(facts) > len({each.state for each in told}):
            yield Violation(Rule.CHANGED, _name(job), f"{facts}")


def _only_what_was_asked(run: Facts) -> Iterator[Violation]:
    for job in sorted((run.told.keys() | run.executions.keys()) - run.asked):
        yield Violation(Rule.NOT_ASKED, _name(job))


def _results(run: Facts) -> Iterator[Violation]:
    objects = {found.key: found for found in run.history.final.objects}
    for job, told in run.told.items():
        last = told[-1]
        if last.state != "completed":
            continue
        found = objects.get(last.key)
        if found is None:
            yield Violation(Rule.NO_OBJECT, _name(job), last.key)
        elif found.sha256 != last.sha256:
            yield Violation(Rule.DIGEST, _name(job), f"{found.sha256} instead of {last.sha256}")
        elif wrong := _picture(run, job, last, found):
            yield Violation(Rule.PICTURE, _name(job), wrong)


def _picture(run: Facts, job: Job, told: Told, found: FoundObject) -> str:
    """How the result differs from what it must be; empty when it does not, or when nobody said what it must be."""
    size = (found.width, found.height)
    if size != (told.width, told.height):
        return f"is {size}, its event says {told.width, told.height}"
    if job not in run.accepted:
        return ""
    must = run.accepted[job].expected
    if size != (must.width, must.height):
        return f"is {size}, must be {must.width, must.height}"
    return "has other pixels" if must.pixels_sha256 not in ("", found.pixels_sha256) else ""


def _strays(run: Facts) -> Iterator[Violation]:
    """A job that failed may leave its object behind: it was asked for, and another attempt would find it."""
    named = {each.key for told in run.told.values() for each in told}
    completed = {job for job, told in run.told.items() if told[-1].state == "completed"}
    for found in run.history.final.objects:
        _, tenant, job_id, *_ = (*found.key.split("/"), "", "")
        if found.key not in named and ((tenant, job_id) in completed or (tenant, job_id) not in run.asked):
            yield Violation(Rule.STRAY, found.key)
    for key in run.history.final.open_uploads:
        yield Violation(Rule.UPLOAD, key)
    for key in run.history.final.overwritten:
        yield Violation(Rule.OVERWRITTEN, key)


def _commits(run: Facts) -> Iterator[Violation]:
    for each in run.history.final.partitions:
        if each.committed != each.end:
            yield Violation(Rule.UNCOMMITTED, f"{each.topic}/{each.partition}", f"{each.committed} of {each.end}")


def _costs(run: Facts) -> Iterator[Violation]:
    limits = run.history.limits
    if limits.extra_executions is not None and run.extra_executions > limits.extra_executions:
        yield Violation(Rule.WASTE, "all jobs", f"{run.extra_executions}, limit {limits.extra_executions}")
    if limits.repeated_events is not None and run.repeated_events > limits.repeated_events:
        yield Violation(Rule.TOLD_AGAIN, "all jobs", f"{run.repeated_events}, limit {limits.repeated_events}")
    for job, times in run.executions.items():
        if limits.executions_of_a_job is not None and times > limits.executions_of_a_job:
            yield Violation(Rule.REPEATED, _name(job), f"{times}, limit {limits.executions_of_a_job}")


def _workers(run: Facts) -> Iterator[Violation]:
    held: Counter[int] = Counter()
    stopping: set[int] = set()
    limit = run.history.limits.jobs_in_hand
    for entry in run.history.entries:
        match entry:
            case Begun():
                held[entry.worker] += 1
                if limit is not None and held[entry.worker] == limit + 1:
                    yield Violation(Rule.IN_HAND, str(entry.worker), f"limit {limit}")
                if entry.worker in stopping:
                    yield Violation(Rule.BEGUN_LATE, str(entry.worker), _name((entry.tenant, entry.job_id)))
            case Ended():
                held[entry.worker] -= 1
            case Holding():
                most = run.history.limits.records_held
                if most is not None and entry.records > most:
                    yield Violation(Rule.HOARDED, str(entry.worker), f"{entry.records}, limit {most}")
            case Stopping():
                stopping.add(entry.worker)


def _recovered(run: Facts) -> Iterator[Violation]:
    for fault, recovery in run.recoveries():
        if run.left_to_do(fault.at) and (recovery is None or recovery > fault.recovery_seconds):
            yield Violation(Rule.RECOVERY, fault.name, f"{recovery} s, limit {fault.recovery_seconds:g} s")
        caught_up, most = run.caught_up(fault), run.history.limits.caught_up_seconds
        if most is not None and (caught_up is None or caught_up > most):
            yield Violation(Rule.CAUGHT_UP, fault.name, f"{caught_up} s, limit {most:g} s")


def _name(job: Job) -> str:
    return "/".join(job)


_RULES: tuple[Callable[[Facts], Iterator[Violation]], ...] = (
    _ends,
    _events,
    _only_what_was_asked,
    _results,
    _strays,
    _commits,
    _costs,
    _workers,
    _recovered,
)
