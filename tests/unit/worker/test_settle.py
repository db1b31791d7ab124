"""Guarantees of pipeline.worker.settle: the order in which effects happen, for every way a record can end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NoReturn

import orjson
import pytest

from pipeline.errors import CalledOff, DeviceDied, JobExpired, JobFailed, ShuttingDown
from pipeline.gpu.models.catalog import Catalogue
from pipeline.kafka.deadletter import Why
from pipeline.kafka.publish import MessageTooLarge
from pipeline.kafka.records import Received
from pipeline.kafka.retry import Headers, played_again
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.jobs import Begun, JobKey, Rules
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.storage.sources import SourcePolicy
from pipeline.worker.breaker import Breaker
from pipeline.worker.claims import Claims
from pipeline.worker.intake import Clocks, Job, Refused, Undecodable, accept
from pipeline.worker.outcome import Done
from pipeline.worker.running import Running
from pipeline.worker.settle import NOT_SETTLED, Handling, Ports
from pipeline.worker.stop_rule import MOST_IN_A_ROW, StopRule
from pipeline.worker.verdict import Again
from schemas import topics
from schemas.events import (
    Event,
    JobEvent,
    Provenance,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleRequested,
    UpscaleStarted,
)
from schemas.failures import FailureCode
from schemas.options import OutputFormat
from schemas.topics import TIERS
from tests.support.memory_jobs import MemoryJobs
from tests.support.requests import make_received

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = JobKey("default", "job-1")
DONE = Done(
    StoredObject("b", "results/t/j/k.png", "ab" * 32, 9, OutputFormat.PNG, 8, 8, SourceFacts(2, 2)),
    Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1"),
)
SOURCES = SourcePolicy.of(StoreSettings(), FetchSettings())
TIMEOUT = JobFailed(FailureCode.SOURCE_TIMEOUT, "source: limit 10 s")
OURS = JobFailed(FailureCode.DEVICE_OUT_OF_MEMORY, "device: one tile does not fit")
THEIRS = JobFailed(FailureCode.SOURCE_STATUS, "source: status 404")
LAST: Headers = ((topics.ATTEMPT, b"4"),)


def record(headers: Headers = (), **fields: object) -> Received:
    """The request of job-1, by default a sound one."""
    request = {"job_id": "job-1", "source": "https://example.com/a.png", **fields}
    return make_received(value=orjson.dumps(request), headers=headers)


class Bench:
    """One worker between a memory of jobs and lists. `log` is what happened, in order."""

    def __init__(self, outcome: Done | BaseException = DONE, *, max_starts: int = 3) -> None:
        self.objects = MemoryJobs()
        self.log = self.objects.log
        self.said: list[Event] = []
        self.announced: list[JobEvent] = []
        self.handed: list[Again] = []
        self.parked: list[Why] = []
        self.stopped: list[str] = []
        self.executed: list[int] = []
        """Which start of its job each execution was."""
        self.outcome = outcome
        self.meanwhile: Callable[[], Awaitable[object]] = partial(asyncio.sleep, 0)
        """What happens elsewhere during an execution."""
        self.deadly = ""
        """Job of which any device dies."""
        self.dead: set[str] = set()
        """Workers whose device has died."""
        self.max_starts = max_starts
        self.refusal: JobFailed | None = None
        """What intake says of every record, in place of what it finds."""
        self.handling = self.handled_by("us")

    def claims(self, name: str, *, lease_seconds: float = 15.0) -> Claims:
        breaker = Breaker("test", FailureCode.STORE_UNAVAILABLE, changed=lambda: None)
        return Claims(self.objects.store(), Rules(name, lease_seconds, self.max_starts), breaker, "/test")

    def handled_by(
        self, name: str, *, lease_seconds: float = 15.0, say: Callable[[Event], Awaitable[None]] | None = None
    ) -> Handling:
        ports = Ports(
            claims=self.claims(name, lease_seconds=lease_seconds),
            do=partial(self._do, name),
            say=say or self._say,
            hand_on=self._hand_on,
            park=self._park,
            announce=self.announced.append,
            now=lambda: 0.0,
            able=lambda: name not in self.dead,
        )
        return Handling(self._accept, ports, Running(), StopRule(), self.stopped.append)

    async def settle(self, received: Received, handling: Handling | None = None) -> None:
        """As the loop does, which lets go of a record when this returns."""
        await (handling or self.handling)(received)
        self.log.append("let go")

    def _accept(self, received: Received) -> Job | Refused | Undecodable:
        if self.refusal is not None:
            return Refused(UpscaleRequested(job_id="job-1", source="https://example.com/a.png"), self.refusal)
        return accept(received, Clocks(wall=lambda: NOW, monotonic=lambda: 0.0), SOURCES, Catalogue())

    async def _do(self, worker: str, job: Job, begun: Begun) -> Done:
        self.executed.append(begun.starts)
        await self.meanwhile()
        if job.request.job_id == self.deadly:
            self.dead.add(worker)
        if worker in self.dead:
            raise DeviceDied("the device stopped working")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        self.log.append("stored")
        return self.outcome

    async def _say(self, event: Event) -> None:
        self.said.append(event)
        self.log.append("said")

    async def _hand_on(self, received: Received, again: Again) -> None:
        self.handed.append(again)
        self.log.append("handed on")

    async def _park(self, received: Received, why: Why) -> None:
        self.parked.append(why)
        self.log.append("parked")

    def failure(self) -> FailureCode:
        """Of the one event that was said."""
        (event,) = self.said
        assert isinstance(event.data, UpscaleFailed)
        return event.data.failure.code


async def test_job_is_stored_then_ended_then_said_then_let_go() -> None:
    """A crash between any two of them repeats the later ones, to the same effect."""
    bench = Bench()
    await bench.settle(record())
    assert bench.log == ["held", "stored", "ended", "said", "let go"]
    assert [type(event.data) for event in bench.said] == [UpscaleCompleted]
    assert [type(event) for event in bench.announced] == [UpscaleStarted]


async def test_job_that_ended_before_is_told_again_and_not_executed() -> None:
    """Whether its event had been acknowledged is not known; it is the same event, word for word."""
    bench = Bench()
    await bench.settle(record())
    bench.log.clear()
    await bench.settle(record(), bench.handled_by("another worker"))
    assert bench.log == ["said", "let go"]
    assert bench.said[0] == bench.said[1]
    assert bench.executed == [1]


@pytest.mark.parametrize(
    ("outcome", "kind"), [(THEIRS, UpscaleFailed), (CalledOff("no more"), UpscaleCanceled)], ids=["failed", "canceled"]
)
async def test_job_without_a_result_is_ended_then_said_then_let_go(outcome: Exception, kind: type[JobEvent]) -> None:
    """It ends as surely as one with a result, and no dead letter is made of it."""
    bench = Bench(outcome)
    await bench.settle(record())
    assert bench.log == ["held", "ended", "said", "let go"]
    assert [type(event.data) for event in bench.said] == [kind]


async def test_job_whose_deadline_passed_says_so() -> None:
    """Nothing failed: the caller set the deadline."""
    bench = Bench(JobExpired())
    await bench.settle(record(deadline="2026-01-02T00:00:00Z"))
    assert [type(event.data) for event in bench.said] == [UpscaleExpired]


async def test_job_to_be_tried_again_is_on_the_retry_topic_before_anything_else() -> None:
    """Then it is free for whoever comes, and only then its record is let go of; its caller hears nothing yet."""
    bench = Bench(TIMEOUT)
    await bench.settle(record())
    assert bench.log == ["held", "handed on", "given back", "let go"]
    assert bench.handed == [Again(TIERS[0], 2, "source_timeout")]


async def test_job_that_is_tried_again_counts_as_begun_once() -> None:
    """Nobody died of it: retries do not use up the starts."""
    bench = Bench(TIMEOUT)
    for attempt in (1, 2, 3):
        await bench.settle(record(((topics.ATTEMPT, str(attempt).encode()),)), bench.handled_by(f"worker-{attempt}"))
    assert bench.executed == [1, 1, 1]
    assert [again.tier for again in bench.handed] == list(TIERS)


async def test_last_attempt_that_fails_by_our_fault_is_parked_then_ended_then_said() -> None:
    """After the end nobody would come back to park it."""
    bench = Bench(OURS)
    await bench.settle(record(LAST))
    assert bench.log == ["held", "parked", "ended", "said", "let go"]
    assert bench.parked == [Why("device_out_of_memory", "device: one tile does not fit")]
    assert bench.failure() is FailureCode.DEVICE_OUT_OF_MEMORY


async def test_last_attempt_that_fails_by_the_sources_fault_is_not_parked() -> None:
    """An operator could not cure it."""
    bench = Bench(TIMEOUT)
    await bench.settle(record(LAST))
    assert bench.log == ["held", "ended", "said", "let go"]


async def test_exception_that_is_not_ours_is_tried_again_as_an_internal_error() -> None:
    """What it says stays in the log."""
    bench = Bench(RuntimeError("/secret/path"))
    await bench.settle(record())
    assert bench.handed == [Again(TIERS[0], 2, "internal")]


async def test_job_that_would_be_tried_again_after_its_deadline_fails_now() -> None:
    """With the reason, instead of coming back to expire."""
    bench = Bench(TIMEOUT)
    await bench.settle(record(deadline=(NOW + timedelta(seconds=20)).isoformat()))
    assert bench.failure() is FailureCode.SOURCE_TIMEOUT


async def test_job_that_another_worker_has_is_handed_on_without_counting_an_attempt() -> None:
    """Waiting for it would hold a place; nothing is announced, executed, written or said here."""
    bench = Bench()
    await bench.claims("other").begin(KEY)
    bench.log.clear()
    await bench.settle(record(((topics.ATTEMPT, b"2"),)))
    assert bench.log == ["handed on", "let go"]
    assert bench.handed == [Again(TIERS[0], 2, "leased")]
    assert (bench.executed, bench.announced) == ([], [])


async def test_job_whose_workers_died_of_it_is_parked_and_fails_and_is_not_executed() -> None:
    """Its caller learns the code, and the operator has the record."""
    bench = Bench(max_starts=2)
    for name in ("first", "second"):
        await bench.claims(name, lease_seconds=0.0).begin(KEY, alone=True)
    bench.log.clear()
    await bench.settle(record(), bench.handled_by("third", lease_seconds=0.0))
    assert bench.log == ["parked", "ended", "said", "let go"]
    assert [why.reason for why in bench.parked] == ["crash_loop"]
    assert bench.failure() is FailureCode.CRASH_LOOP
    assert bench.executed == []


async def test_heir_of_a_dead_worker_knows_which_start_it_is() -> None:
    """From the second on it looks for a result first."""
    bench = Bench()
    await bench.claims("dead").begin(KEY)
    await bench.settle(record(), bench.handled_by("heir", lease_seconds=0.0))
    assert bench.executed == [2]


async def test_jobs_that_two_workers_died_with_are_begun_one_after_the_other() -> None:
    """One of them may have killed the others' workers: when it kills again, they have not been begun beside it."""
    bench = Bench()
    suspects = [JobKey("default", f"job-{number}") for number in range(3)]
    for name in ("first", "second"):
        for key in suspects:
            await bench.claims(name, lease_seconds=0.0).begin(key)
    seen: list[list[int]] = []

    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(sorted(bench.objects.body(key).get("starts", 0) for key in suspects))

    bench.meanwhile = look
    heir = bench.handled_by("heir", lease_seconds=0.0)
    await asyncio.gather(*(bench.settle(record(job_id=key.job_id), heir) for key in suspects))
    assert seen == [[2, 2, 3], [0, 2, 3], [0, 0, 3]]
    assert bench.executed == [3, 3, 3]


async def test_jobs_that_nobody_suspects_do_not_wait_for_one_that_is() -> None:
    """One dead worker, or a job on its last start, costs the others nothing."""
    bench = Bench()
    for name in ("first", "second"):
        await bench.claims(name, lease_seconds=0.0).begin(KEY)
    await bench.claims("second").begin(JobKey("default", "job-2"))
    all_at_work = asyncio.Barrier(3)
    bench.meanwhile = all_at_work.wait
    heir = bench.handled_by("heir", lease_seconds=0.0)
    async with asyncio.timeout(5.0):
        await asyncio.gather(*(bench.settle(record(job_id=f"job-{number}"), heir) for number in (1, 2, 3)))
    assert sorted(bench.executed) == [1, 2, 3]


async def test_job_that_cannot_be_done_here_is_given_back_and_stays() -> None:
    """Another worker is handed the record, at once and without a mark; its caller hears nothing."""
    bench = Bench(ShuttingDown("the batcher is closed"))
    with pytest.raises(ShuttingDown):
        await bench.settle(record())
    assert bench.log == ["held", "given back"]


async def test_job_that_every_device_dies_of_is_parked_and_those_in_hand_with_it_complete() -> None:
    """As if it had killed the workers: all are counted, and on its last start it dies alone."""
    bench = Bench()
    bench.deadly = "job-1"
    open_jobs = [f"job-{number}" for number in range(4)]
    for worker in ("first", "second", "third", "fourth"):
        handling = bench.handled_by(worker)
        together = await asyncio.gather(
            *(bench.settle(record(job_id=job), handling) for job in open_jobs), return_exceptions=True
        )
        given_up = [isinstance(end, DeviceDied | ShuttingDown) for end in together]
        open_jobs = [job for job, again in zip(open_jobs, given_up, strict=True) if again]
    assert open_jobs == []
    assert bench.dead == {"first", "second", "third"}
    ends = {event.data.subject: type(event.data) for event in bench.said}
    assert ends.pop("job-1") is UpscaleFailed
    assert [why.reason for why in bench.parked] == ["crash_loop"]
    assert set(ends.values()) == {UpscaleCompleted}
    assert len(ends) == 3


async def test_job_that_waits_behind_the_one_its_device_dies_of_is_not_begun() -> None:
    """It would be given its last start on a device that cannot do it."""
    bench = Bench()
    suspects = [JobKey("default", f"job-{number}") for number in (1, 2)]
    for name in ("first", "second"):
        for key in suspects:
            await bench.claims(name, lease_seconds=0.0).begin(key)
    bench.deadly = "job-1"
    heir = bench.handled_by("heir", lease_seconds=0.0)
    settling = [bench.settle(record(job_id=key.job_id), heir) for key in suspects]
    assert [type(end) for end in await asyncio.gather(*settling, return_exceptions=True)] == [DeviceDied, ShuttingDown]
    assert [bench.objects.body(key)["starts"] for key in suspects] == [3, 2]


async def test_job_whose_device_died_counts_as_begun_once_when_it_is_tried_again_later() -> None:
    """An attempt that came to an end, be it a failure, shows that nothing dies of it."""
    bench = Bench(TIMEOUT)
    bench.deadly = "job-1"
    with pytest.raises(DeviceDied):
        await bench.settle(record(), bench.handled_by("first"))
    bench.deadly = ""
    for name in ("second", "third"):
        await bench.settle(record(), bench.handled_by(name))
    assert bench.executed == [1, 2, 1]


async def test_worker_that_stops_in_mid_job_gives_it_back() -> None:
    """Its record stays uncommitted."""
    bench = Bench(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await bench.settle(record())
    assert bench.log == ["held", "given back"]


async def test_job_that_was_ended_elsewhere_meanwhile_is_said_as_it_ended_there() -> None:
    """Whatever became of it here."""
    bench = Bench()
    canceled = UpscaleCanceled(job_id="job-1", tenant="default")
    bench.meanwhile = lambda: bench.claims("other").end(KEY, canceled)
    await bench.settle(record())
    assert [event.data for event in bench.said] == [canceled]


async def test_request_that_is_refused_is_ended_then_said_then_let_go() -> None:
    """It has one end as every job: sent again and mended under the same id, it is told the first answer."""
    bench = Bench()
    await bench.settle(record(options={"scale": 99}))
    assert bench.log == ["ended", "said", "let go"]
    assert bench.failure() is FailureCode.INVALID_OPTIONS
    await bench.settle(record())
    assert bench.said[0] == bench.said[1]
    assert bench.executed == []


async def test_request_that_intake_stumbled_over_is_parked_and_told_and_stops_no_worker() -> None:
    """The operator can play it again; a caller that sends many of them must not end one worker after the other."""
    bench = Bench()
    bench.refusal = JobFailed(FailureCode.INTERNAL, "an internal error; it is logged")
    await bench.settle(record())
    assert bench.log == ["parked", "ended", "said", "let go"]
    assert [why.reason for why in bench.parked] == ["internal"]
    assert bench.failure() is FailureCode.INTERNAL
    for _ in range(2 * MOST_IN_A_ROW):
        await bench.settle(record())
    assert bench.stopped == []


async def test_job_that_can_be_neither_done_nor_ended_is_parked_as_what_nobody_was_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The letter says so to the operator, and names the failure."""

    async def broken(**_: object) -> NoReturn:
        raise ZeroDivisionError

    bench = Bench()
    monkeypatch.setattr(bench.objects, "put_object", broken)
    await bench.settle(record(LAST))
    assert bench.log == ["parked", "let go"]
    assert bench.parked == [Why(NOT_SETTLED, "internal: an internal error; it is logged")]


async def test_record_that_nobody_can_be_told_about_is_parked_and_let_go() -> None:
    """No job is tied to it."""
    bench = Bench()
    await bench.settle(make_received(value=b"not json"))
    assert bench.log == ["parked", "let go"]
    assert [why.reason for why in bench.parked] == ["malformed_json"]


async def test_replay_is_executed_though_the_job_has_ended_and_says_an_event_of_its_own() -> None:
    """It is a generation of its own, and told again as such when its record comes again."""
    bench = Bench(THEIRS)
    await bench.settle(record())
    bench.outcome = DONE
    for _ in range(2):
        await bench.settle(record(played_again(())))
    assert [type(event.data) for event in bench.said] == [UpscaleFailed, UpscaleCompleted, UpscaleCompleted]
    assert bench.said[0].id != bench.said[1].id
    assert bench.said[1] == bench.said[2]
    assert bench.executed == [1, 1]


async def test_record_that_comes_again_while_its_job_runs_executes_nothing() -> None:
    """After a rebalance; both records are let go of when the job has ended."""
    bench = Bench()
    await asyncio.gather(bench.settle(record()), bench.settle(record()))
    assert bench.log == ["held", "stored", "ended", "said", "let go", "let go"]


async def test_record_that_comes_again_is_settled_when_the_first_could_not_be() -> None:
    """The first is tried again later; did the second wait for another worker, nothing after it would be committed."""
    bench = Bench()
    refusals = iter([True, False])

    async def say(event: Event) -> None:
        if next(refusals):
            raise ZeroDivisionError
        bench.said.append(event)

    handling = bench.handled_by("us", say=say)
    await asyncio.gather(bench.settle(record(), handling), bench.settle(record(), handling))
    assert [again.reason for again in bench.handed] == ["internal"]
    assert [type(event.data) for event in bench.said] == [UpscaleCompleted]
    assert bench.executed == [1]


async def test_worker_stops_when_too_many_jobs_in_a_row_end_parked_by_our_fault() -> None:
    """A bad release meets a backlog instead of filling the dead-letter topic."""
    bench = Bench(OURS)
    for number in range(MOST_IN_A_ROW + 1):
        assert bench.stopped == []
        await bench.settle(record(LAST, job_id=f"job-{number}"))
    assert len(bench.stopped) == 1


async def test_records_that_nobody_can_read_stop_no_worker() -> None:
    """They are a producer's fault, and parking is all there is to do."""
    bench = Bench()
    for offset in range(2 * MOST_IN_A_ROW):
        await bench.settle(replace(make_received(value=b"not json"), key=str(offset).encode()))
    assert bench.stopped == []


class FullToTheBrim(Bench):
    """A record whose headers leave no room for ours."""

    async def _hand_on(self, received: Received, again: Again) -> None:
        raise MessageTooLarge(len(received.value or b""))


async def test_record_that_no_retry_topic_takes_is_parked() -> None:
    """Coming again it would end this worker, and after it every other; so would many of them, were they our fault."""
    bench = FullToTheBrim(TIMEOUT)
    for number in range(2 * MOST_IN_A_ROW):
        await bench.settle(record(job_id=f"job-{number}"))
    assert {why.reason for why in bench.parked} == {"not_settled"}
    assert bench.log[-2:] == ["parked", "let go"]
    assert bench.stopped == []
