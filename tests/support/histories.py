"""Histories of runs, made by rule: good ones, from which a test breaks one thing."""

from collections.abc import Iterable

from schemas.events import TYPE_PREFIX, event_id
from tests.support.history import (
    Accepted,
    Begun,
    Ended,
    Entry,
    Expected,
    Final,
    FoundDeadLetter,
    FoundObject,
    FoundPartition,
    History,
    Limits,
    State,
    Told,
)

TENANT = "acme"
WORKER = 100
TOPIC = "upscale.requests.bulk"
PICTURE = Expected(state="completed", width=8, height=4, pixels_sha256="aa")


def key_of(job_id: str) -> str:
    return f"results/{TENANT}/{job_id}/hash.png"


def told(at: float, job_id: str, state: State = "completed", *, code: str = "", tenant: str = TENANT) -> Told:
    """The terminal event as a worker that keeps the rules says it."""
    identity = event_id(tenant, job_id, f"{TYPE_PREFIX}{state}.v1")
    if state != "completed":
        return Told(at=at, tenant=tenant, job_id=job_id, event_id=identity, state=state, code=code)
    return Told(
        at=at,
        tenant=tenant,
        job_id=job_id,
        event_id=identity,
        state=state,
        key=key_of(job_id),
        sha256=f"sha of {job_id}",
        width=PICTURE.width,
        height=PICTURE.height,
    )


def found(job_id: str) -> FoundObject:
    """The object that the completion of a job names."""
    return FoundObject(
        key=key_of(job_id),
        sha256=f"sha of {job_id}",
        width=PICTURE.width,
        height=PICTURE.height,
        pixels_sha256=PICTURE.pixels_sha256,
    )


def life(number: int, expected: Expected, *, executions: int = 1, tellings: int = 1) -> list[Entry]:
    """All that happens to the job of this number, done so often and told so often."""
    job_id, at = f"job-{number}", float(10 * number)
    entries: list[Entry] = [Accepted(at=at, tenant=TENANT, job_id=job_id, expected=expected)]
    if expected.state == "parked":
        return entries
    for execution in range(executions):
        then = at + 1 + execution / 10
        entries.append(Begun(at=then, tenant=TENANT, job_id=job_id, worker=WORKER + execution))
        entries.append(Ended(at=then + 0.05, tenant=TENANT, job_id=job_id, worker=WORKER + execution))
    entries += [told(at + 2 + each / 10, job_id, expected.state, code=expected.code) for each in range(tellings)]
    return entries


def history(lives: Iterable[list[Entry]], *, limits: Limits | None = None) -> History:
    """The run in which these lives were lived, and nothing else; its final state is what it must be."""
    entries = sorted((entry for each in lives for entry in each), key=lambda entry: entry.at)
    asked = [entry for entry in entries if isinstance(entry, Accepted)]
    return History(
        entries=tuple(entries),
        final=Final(
            objects=tuple(found(each.job_id) for each in asked if each.expected.state == "completed"),
            partitions=(FoundPartition(topic=TOPIC, partition=0, committed=len(asked), end=len(asked)),),
            dead_letters=tuple(
                FoundDeadLetter(key=each.job_id, reason=each.expected.code)
                for each in asked
                if each.expected.state == "parked"
            ),
        ),
        limits=limits or Limits(),
    )
