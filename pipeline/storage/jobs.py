"""What is known of a job beyond the broker: one small object, changed only by conditional writes.

First it says who works on the job and how often that was begun; last, how the job ended, for good. The write that
ends it is the moment the job ends: of several workers that believe to have the job one wins, and all others read what
the winner said. It is read and written by whoever is handed the job's record, so it needs no clean-up of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from pipeline.storage.attempts import attempt
from pipeline.storage.client import Store
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning
from pipeline.storage.store import store_failure

JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class JobKey:
    """Which job. A job that an operator has played again is another one, with an end of its own."""

    tenant: str
    job_id: str
    replay: int = 0

    @property
    def path(self) -> str:
        return f"{JOBS}/{self.tenant}/{self.job_id}/{self.replay}.json"


@dataclass(frozen=True, slots=True)
class Begun:
    """The job is ours to do."""

    key: JobKey
    version: str
    """The ETag of what we wrote: whoever else takes, gives back or ends the job changes it. A sign of life of ours may
    not, where a store makes ETags from content."""
    starts: int
    """How often it was begun without an end, this time included."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker is doing it."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """It may be begun once more, for the last time: by a worker that does not begin another suspect beside it."""


@dataclass(frozen=True, slots=True)
class WornOut:
    """It was begun as often as is allowed, and those who began it died of it or with it."""

    starts: int


@dataclass(frozen=True, slots=True)
class Ended:
    """It has ended: the terminal event, as a JSON object."""

    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """Under which conditions a worker may take a job that another has begun."""

    owner: str
    """Names this process; no two have the same name."""
    lease_seconds: float
    """So long after a worker's last sign of life its job is left to it; 0 takes over at once."""
    max_starts: int


@dataclass(frozen=True, slots=True)
class _Found:
    """The object as it was read."""

    version: str
    body: Mapping[str, Any]
    age_seconds: float
    """Between its last change and the answer, both by the store's clock: workers' clocks may differ."""


async def begin(
    store: Store, key: JobKey, rules: Rules, *, alone: bool = False
) -> Begun | Busy | Suspect | WornOut | Ended:
    """Take the job if it may be taken. Counts before anything is done, so that a picture that kills is counted.

    `alone` promises that no other suspect is worked on beside it. Raises `JobFailed` with `store_unavailable`.
    """
    version = await _write(store, key, _working(rules, 1), None)
    while version is None:
        found = await _read(store, key)
        verdict = judge(found.body, found.age_seconds, rules, alone=alone) if found else 0
        if not isinstance(verdict, int):
            return verdict
        starts = verdict + 1
        version = await _write(store, key, _working(rules, starts), found.version if found else None)
        if version is not None:
            return Begun(key, version, starts)
    return Begun(key, version, 1)


def judge(
    body: Mapping[str, Any], age_seconds: float, rules: Rules, *, alone: bool
) -> int | Busy | Suspect | WornOut | Ended:
    """What an object allows: the number of earlier starts when the job may be taken, or why not.

    A worker that dies takes all jobs in its hands along, and whoever starts next is handed the same ones together. So
    none of them is given its last start beside the others: the one that kills would wear out all of them.
    """
    if "event" in body:
        return Ended(body["event"])
    owner, starts = body["owner"], body["starts"]
    if owner == rules.owner:
        # We live, so nobody has died of it: the answer to our own write was lost, or the record came back to us.
        return int(starts) - 1
    if owner and age_seconds < rules.lease_seconds:
        return Busy()
    if starts >= rules.max_starts:
        return WornOut(starts)
    return Suspect() if starts and starts + 1 == rules.max_starts and not alone else int(starts)


async def touch(store: Store, begun: Begun, rules: Rules) -> Begun | None:
    """A sign of life; None when another has taken the job, who will end it, or has ended it.

    Raises `JobFailed` with `store_unavailable`.
    """
    version = await _write(store, begun.key, _working(rules, begun.starts), begun.version)
    return None if version is None else Begun(begun.key, version, begun.starts)


async def give_back(store: Store, begun: Begun, *, starts: int = 0) -> None:
    """Leave the job to whoever comes next. `starts` stay counted: none, unless it may be deadly. Raises as `begin`."""
    await _write(store, begun.key, {"owner": "", "starts": starts}, begun.version)


async def end(store: Store, key: JobKey, event: Mapping[str, Any], begun: Begun | None = None) -> Mapping[str, Any]:
    """End the job with `event`, unless it has ended; the event it ended with, for good. Raises as `begin`.

    Whoever has the job meanwhile finds out when it ends it: no work is lost but theirs.
    """
    seen = begun.version if begun else None
    while await _write(store, key, {"event": dict(event)}, seen) is None:
        found = await _read(store, key)
        if found and "event" in found.body:
            return dict(found.body["event"])
        seen = found.version if found else None
    return event


async def end_idle(store: Store, key: JobKey, event: Mapping[str, Any], rules: Rules) -> bool:
    """End the job with `event` if nobody works on it, and before anybody does; whether we have. Raises as `begin`."""
    seen, ours = None, {"event": dict(event)}
    while await _write(store, key, ours, seen) is None:
        found = await _read(store, key)
        if found and found.body == ours:
            return True
        if found and isinstance(judge(found.body, found.age_seconds, rules, alone=True), (Busy, Ended)):
            return False
        seen = found.version if found else None
    return True


def _working(rules: Rules, starts: int) -> dict[str, Any]:
    return {"owner": rules.owner, "starts": starts}


async def _write(store: Store, key: JobKey, body: Mapping[str, Any], seen: str | None) -> str | None:
    """The new version; None when the object is not the one that was `seen`, None standing for no object at all.

    After a lost answer a repeat meets its own write: that is None too, and who reads then finds what it wrote.
    """
    condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen}
    try:
        answer = await attempt(
            lambda: store.s3.put_object(
                Bucket=store.settings.bucket,
                Key=key.path,
                Body=orjson.dumps(body),
                ContentType="application/json",
                **condition,
            ),
            store.settings,
        )
    except STORE_ERRORS as error:
        if meaning(error) in (Meaning.EXISTS, Meaning.MISSING):
            return None
        raise store_failure("takes no notes of jobs", error) from error
    return str(answer["ETag"])


async def _read(store: Store, key: JobKey) -> _Found | None:
    async def get() -> _Found:
        answer = await store.s3.get_object(Bucket=store.settings.bucket, Key=key.path)
        async with answer["Body"] as stream:
            body = orjson.loads(await stream.read())
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return _Found(answer["ETag"], body, (now - answer["LastModified"]).total_seconds())

    try:
        return await attempt(get, store.settings)
    except STORE_ERRORS as error:
        if meaning(error) is Meaning.MISSING:
            return None
        raise store_failure("does not answer", error) from error
