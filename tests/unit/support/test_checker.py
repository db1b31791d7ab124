"""The checker finds what is wrong with a run, and nothing that is not.

Each broken history is one that a worker with a known kind of mistake leaves behind.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checker import Rule, check
from tests.support.histories import PICTURE, TENANT, WORKER, history, key_of, life, told
from tests.support.history import (
    Begun,
    Ended,
    Entry,
    Expected,
    FaultBegan,
    FaultEnded,
    Final,
    FoundDeadLetter,
    FoundObject,
    FoundPartition,
    History,
    Holding,
    Limits,
    Stopping,
    Told,
    Unknown,
)
from tests.support.run_facts import measure

KEPT = Expected(state="failed", code="crash_loop", kept=True)
FAILURE = Expected(state="failed", code="image_corrupt")
PARKED = Expected(state="parked", code="malformed_json")
GOOD = history([life(1, PICTURE), life(2, PICTURE), life(3, FAILURE), life(4, PARKED)])


def with_final(**fields: object) -> History:
    return GOOD.model_copy(update={"final": GOOD.final.model_copy(update=fields)})


def with_entries(*added: Entry, without: Callable[[Entry], bool] = lambda _: False) -> History:
    kept = [entry for entry in GOOD.entries if not without(entry)]
    entries = tuple(sorted((*kept, *added), key=lambda entry: entry.at))
    return GOOD.model_copy(update={"entries": entries})


def told_of(job_id: str) -> Callable[[Entry], bool]:
    return lambda entry: isinstance(entry, Told) and entry.job_id == job_id


def limited(run: History, **limits: float) -> History:
    return run.model_copy(update={"limits": Limits.model_validate(limits)})


def object_with(**fields: object) -> tuple[FoundObject, ...]:
    first, *rest = GOOD.final.objects
    return (first.model_copy(update=fields), *rest)


def again(number: int, worker: int = WORKER) -> tuple[Begun, Ended]:
    """Another execution of the job of this number."""
    at = 10 * number + 5.0
    job = {"tenant": TENANT, "job_id": f"job-{number}", "worker": worker}
    return Begun(at=at, **job), Ended(at=at + 1, **job)


def fault(at: float, recovery_seconds: float) -> tuple[FaultBegan, FaultEnded]:
    return FaultBegan(at=at, name="kill"), FaultEnded(at=at, name="kill", recovery_seconds=recovery_seconds)


BROKEN: dict[str, tuple[Rule, History]] = {
    "commits before it stores, then dies": (Rule.LOST, with_entries(without=told_of("job-3"))),
    "commits the highest offset that is done": (
        Rule.LOST,
        with_entries(without=lambda entry: entry.kind != "accepted" and getattr(entry, "job_id", "") == "job-3"),
    ),
    "commits before it has published a retry": (Rule.LOST, with_entries(*again(3), without=told_of("job-3"))),
    "does not wait for the dead letter to be acknowledged": (Rule.LOST, with_final(dead_letters=())),
    "draws event ids": (Rule.EVENT_ID, with_entries(told(20.0, "job-1").model_copy(update={"event_id": "drawn"}))),
    "overwrites an object with other bytes": (Rule.DIGEST, with_final(objects=object_with(sha256="another"))),
    "tells the digest of its own bytes and not of the first writer's": (
        Rule.CHANGED,
        with_entries(told(11.9, "job-1").model_copy(update={"sha256": "another"})),
    ),
    "tells of a result before it is stored, then dies": (
        Rule.NO_OBJECT,
        with_final(objects=GOOD.final.objects[1:]),
    ),
    "fails a good picture because the store was away": (
        Rule.UNEXPECTED,
        with_entries(told(12.0, "job-1", "failed", code="store_unavailable"), without=told_of("job-1")),
    ),
    "gives another code than the failure has": (
        Rule.UNEXPECTED,
        with_entries(told(32.0, "job-3", "failed", code="internal"), without=told_of("job-3")),
    ),
    "fails a job that another worker completed": (
        Rule.TWO_ENDS,
        with_entries(told(11.9, "job-1", "failed", code="internal")),
    ),
    "parks a record and works on it as well": (
        Rule.TWO_ENDS,
        with_entries(told(42.0, "job-4", "failed", code="malformed_json")),
    ),
    "says the same end at another time": (
        Rule.CHANGED,
        with_entries(told(11.9, "job-1").model_copy(update={"content_sha256": "another"})),
    ),
    "gives up a job and keeps no record of it": (Rule.NOT_KEPT, history([life(1, KEPT)])),
    "overwrites an object with the same bytes": (Rule.OVERWRITTEN, with_final(overwritten=(key_of("job-1"),))),
    "loses its partitions while it drains": (
        Rule.TOLD_AGAIN,
        limited(with_entries(told(11.9, "job-1")), repeated_events=0),
    ),
    "tells another tenant": (
        Rule.NOT_ASKED,
        with_entries(told(50, "job-3", "failed", code="image_corrupt", tenant="other")),
    ),
    "works for nobody": (Rule.NOT_ASKED, with_entries(Begun(at=5, tenant=TENANT, job_id="job-9", worker=WORKER))),
    "mixes up two pictures of one size": (Rule.PICTURE, with_final(objects=object_with(pixels_sha256="bb"))),
    "stores what is no picture": (Rule.PICTURE, with_final(objects=object_with(width=0, height=0))),
    "stores under a key that it draws": (
        Rule.STRAY,
        with_final(objects=(*GOOD.final.objects, FoundObject(key=key_of("job-1") + "2", sha256="x"))),
    ),
    "stores for a tenant that asked for nothing": (
        Rule.STRAY,
        with_final(objects=(*GOOD.final.objects, FoundObject(key="results/other/job-1/hash.png", sha256="x"))),
    ),
    "stores beside all tenants": (
        Rule.STRAY,
        with_final(objects=(*GOOD.final.objects, FoundObject(key="results/tmp", sha256="x"))),
    ),
    "leaves the parts of an upload": (Rule.UPLOAD, with_final(open_uploads=("results/acme/job-1/hash.png",))),
    "forgets to commit": (
        Rule.UNCOMMITTED,
        with_final(partitions=(FoundPartition(topic="requests", partition=0, committed=3, end=4),)),
    ),
    "stops polling while it drains, and is thrown out": (
        Rule.WASTE,
        limited(with_entries(*again(1), *again(2)), extra_executions=1),
    ),
    "does not count starts": (
        Rule.REPEATED,
        limited(with_entries(*again(3), *again(3), *again(3)), executions_of_a_job=3),
    ),
    "forgets its pause after a rebalance": (
        Rule.HOARDED,
        limited(with_entries(Holding(at=5.0, worker=WORKER, records=20)), records_held=16),
    ),
    "has no bound to its places": (
        Rule.IN_HAND,
        limited(
            with_entries(*(Begun(at=5.0, tenant=TENANT, job_id="job-1", worker=WORKER) for _ in range(3))),
            jobs_in_hand=2,
        ),
    ),
    "takes work after it was asked to stop": (
        Rule.BEGUN_LATE,
        with_entries(Stopping(at=14, worker=WORKER + 1), *again(1, WORKER + 1)),
    ),
    "takes too long to go on": (Rule.RECOVERY, with_entries(*fault(20.5, recovery_seconds=1.0))),
    "forgets one of the jobs that a fault held up": (
        Rule.CAUGHT_UP,
        limited(with_entries(*fault(11.5, recovery_seconds=60), without=told_of("job-9")), caught_up_seconds=0.1),
    ),
    "never goes on": (Rule.RECOVERY, with_entries(*fault(20.5, recovery_seconds=60), without=told_of("job-2"))),
}


@pytest.mark.parametrize(("rule", "run"), BROKEN.values(), ids=list(BROKEN))
def test_checker_finds_the_run_of_a_worker_that(rule: Rule, run: History) -> None:
    """The rule that the mistake breaks is found broken; a mistake may break another one with it."""
    assert rule in {violation.rule for violation in check(run)}


ALONE = {name: each for name, each in BROKEN.items() if name != "never goes on"}
"""What never goes on is lost as well."""


@pytest.mark.parametrize(("rule", "run"), ALONE.values(), ids=list(ALONE))
def test_checker_blames_no_rule_that_is_kept(rule: Rule, run: History) -> None:
    """One mistake is told as one: these histories break a single rule."""
    assert [violation.rule for violation in check(run)] == [rule]


def test_every_rule_has_a_run_that_breaks_it() -> None:
    """A rule that nothing can break would check nothing."""
    assert {rule for rule, _ in BROKEN.values()} == set(Rule)


LIVES = st.lists(
    st.tuples(
        st.sampled_from([PICTURE, FAILURE, PARKED, Expected(state="expired"), Expected(state="canceled")]),
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(LIVES)
def test_checker_passes_every_run_in_which_repeats_change_nothing(lives: list[tuple[Expected, int, int]]) -> None:
    """Executing and telling again are no mistakes by themselves, in whatever number and order."""
    run = history(
        life(number, expected, executions=executions, tellings=tellings)
        for number, (expected, executions, tellings) in enumerate(lives)
    )
    assert check(run) == []


def test_request_whose_acceptance_is_unknown_may_be_done_or_not() -> None:
    """Its sender was told that it is not known; what is done for it must still be right."""
    unknown = Unknown(at=60, tenant=TENANT, job_id="job-6")
    assert check(with_entries(unknown)) == []
    done = with_entries(unknown, told(62, "job-6"))
    assert [violation.rule for violation in check(done)] == [Rule.NO_OBJECT]


def test_fault_after_which_nothing_was_left_to_do_needs_no_recovery() -> None:
    """Recovery is measured by the next completion, and there is none to wait for."""
    assert check(with_entries(*fault(100, recovery_seconds=1))) == []


def test_last_word_of_a_killed_worker_is_no_recovery() -> None:
    """It may be heard after its death; what counts is the first job that another one did."""
    run = history([life(1, PICTURE), life(2, PICTURE, executions=2)])
    killed = FaultEnded(at=11.5, name="kill", recovery_seconds=60, killed=WORKER)
    run = run.model_copy(update={"entries": tuple(sorted((*run.entries, killed), key=lambda entry: entry.at))})
    assert measure(run).recovery_seconds == {"kill": 10.5}


def test_measures_tell_what_a_run_cost() -> None:
    """Waste is what was executed beyond once for each job that was executed at all."""
    run = history([life(1, PICTURE, executions=3, tellings=2), life(2, PARKED), life(3, PICTURE)])
    run = run.model_copy(update={"entries": (*run.entries, *fault(20.0, 60))})
    cost = measure(run)
    assert (cost.accepted, cost.executions, cost.extra_executions, cost.repeated_events) == (3, 4, 2, 1)
    assert cost.recovery_seconds == {"kill": 12.0}


def test_job_whose_result_was_found_is_told_again_and_not_executed_again() -> None:
    """Waste is what the device does twice: an attempt that never reached it costs nothing."""
    begun, ended = again(1)
    run = with_entries(begun, ended.model_copy(update={"computed": False}), told(17.0, "job-1"))
    assert (measure(run).extra_executions, measure(run).repeated_events) == (0, 1)


def test_record_of_a_job_that_was_given_up_may_lie_among_the_dead_letters() -> None:
    """A failure that is ours is told to the caller and kept for the operator."""
    run = history([life(1, KEPT)])
    letters = (FoundDeadLetter(key="job-1", reason="crash_loop"),)
    assert check(run.model_copy(update={"final": run.final.model_copy(update={"dead_letters": letters})})) == []


def test_fault_is_caught_up_with_when_the_last_job_before_it_has_ended() -> None:
    """What was asked for later does not count."""
    run = with_entries(*fault(20.5, recovery_seconds=60))
    assert measure(run).caught_up_seconds == {"kill": 1.5}


def test_final_state_of_an_empty_run_is_in_order() -> None:
    """No request, nothing found: nothing wrong."""
    assert check(History(entries=(), final=Final())) == []
