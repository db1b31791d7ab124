"""Guarantees of pipeline.storage.jobs that need no store."""

import pytest

from pipeline.storage.jobs import Busy, Ended, JobKey, Rules, Suspect, WornOut, judge

RULES = Rules("b", lease_seconds=15.0, max_starts=3)


@pytest.mark.parametrize(
    ("body", "age", "answer"),
    [
        ({"owner": "a", "starts": 1}, 14.0, Busy()),
        ({"owner": "a", "starts": 1}, 15.0, 1),
        ({"owner": "a", "starts": 1}, -3600.0, Busy()),
        ({"owner": "", "starts": 0}, 0.0, 0),
        ({"owner": "a", "starts": 3}, 14.0, Busy()),
        ({"owner": "a", "starts": 3}, 15.0, WornOut(3)),
        ({"owner": "a", "starts": 7}, 15.0, WornOut(7)),
        ({"owner": "b", "starts": 1}, 0.0, 0),
        ({"owner": "b", "starts": 3}, 3600.0, 2),
        ({"event": {"id": "1"}}, 0.0, Ended({"id": "1"})),
    ],
)
def test_job_may_be_taken_when_nobody_lives_who_has_it(
    body: dict[str, object], age: float, answer: int | Busy | WornOut | Ended
) -> None:
    """And when too many have died of it, not even then."""
    assert judge(body, age, RULES, alone=True) == answer


def test_each_generation_of_each_tenants_job_has_an_object_of_its_own() -> None:
    """What ended one of them says nothing of the others."""
    assert JobKey("acme", "job-1").path == "jobs/acme/job-1/0.json"
    assert JobKey("acme", "job-1", replay=2).path == "jobs/acme/job-1/2.json"


@pytest.mark.parametrize(("starts", "answer"), [(0, 0), (1, 1), (2, Suspect()), (3, WornOut(3))])
def test_last_start_of_a_job_is_for_a_worker_that_begins_no_other_suspect(
    starts: int, answer: int | Suspect | WornOut
) -> None:
    """Those that were in hand with a picture that kills would be worn out by it, and be given up with it."""
    assert judge({"owner": "a", "starts": starts}, 60.0, RULES, alone=False) == answer


def test_only_start_of_a_job_needs_no_worker_of_its_own() -> None:
    """Where one is allowed nothing is suspected before it."""
    once = Rules("b", lease_seconds=15.0, max_starts=1)
    assert judge({"owner": "", "starts": 0}, 0.0, once, alone=False) == 0
