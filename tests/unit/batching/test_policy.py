"""Which tiles go next."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pipeline.batching.policy import Policy, View, choose
from schemas.topics import Lane
from tests.support.queueing import KEY, OTHER, view, waiting

POLICY = Policy()


def tiles(seen: View, policy: Policy = POLICY) -> dict[int, int]:
    launch = choose(seen, policy)
    assert launch is not None
    return dict(launch.tiles)


def credit(seen: View, policy: Policy = POLICY) -> float:
    launch = choose(seen, policy)
    assert launch is not None
    return launch.bulk_credit


def test_choice_is_none_when_nothing_waits() -> None:
    """No tiles, no launch."""
    assert choose(view(), POLICY) is None


def test_choice_fills_a_launch_with_tiles_of_several_works() -> None:
    """One work does not fill the launch: the next one's tiles join it, up to the limit."""
    assert tiles(view(waiting(1, 1), waiting(2, 2), waiting(3, 9))) == {1: 1, 2: 2, 3: 1}


def test_choice_takes_less_than_the_limit_when_no_more_waits() -> None:
    """A launch is never held back to become fuller."""
    assert tiles(view(waiting(1, 3))) == {1: 3}


def test_choice_never_mixes_keys() -> None:
    """A tile of another key does not fill a free slot."""
    launch = choose(view(waiting(1, 1), waiting(2, 9, key=OTHER)), POLICY)
    assert launch is not None
    assert (launch.key, dict(launch.tiles)) == (KEY, {1: 1})


def test_choice_takes_interactive_before_bulk() -> None:
    """However old and short the bulk work, interactive tiles come first."""
    bulk = waiting(1, 1, lane=Lane.BULK, arrived=-100)
    assert tiles(view(bulk, waiting(2, 9))) == {2: 4}


def test_choice_fills_left_over_slots_with_bulk() -> None:
    """Interactive tiles do not fill the launch: bulk tiles of the same key do."""
    assert tiles(view(waiting(1, 1), waiting(2, 9, lane=Lane.BULK))) == {1: 1, 2: 3}


def test_choice_gives_bulk_what_it_is_owed_first() -> None:
    """A whole tile of credit is paid, and no more than that while interactive waits."""
    seen = view(waiting(1, 9), waiting(2, 9, lane=Lane.BULK), bulk_credit=1.9)
    assert tiles(seen) == {2: 1, 1: 3}


def test_choice_launches_bulks_own_key_when_bulk_is_owed() -> None:
    """Bulk of another key than interactive's is not starved: its turn is a launch of its own."""
    seen = view(waiting(1, 9), waiting(2, 9, lane=Lane.BULK, key=OTHER), bulk_credit=1.0)
    assert tiles(seen) == {2: 4}


def test_choice_fills_what_bulk_was_not_owed_with_bulk_when_no_interactive_tile_fits() -> None:
    """Interactive has few tiles of the key: bulk takes the slots beyond its credit too, each tile once."""
    seen = view(waiting(1, 1), waiting(2, 2, lane=Lane.BULK), waiting(3, 5, lane=Lane.BULK), bulk_credit=1.0)
    assert tiles(seen) == {2: 2, 1: 1, 3: 1}


def test_credit_grows_by_the_share_of_the_tiles_while_both_classes_wait() -> None:
    """Four interactive tiles at a share of 10 % owe bulk 0.4 tiles."""
    assert credit(view(waiting(1, 9), waiting(2, 9, lane=Lane.BULK))) == pytest.approx(0.4)


def test_credit_stands_still_while_bulk_is_absent() -> None:
    """Bulk earns nothing by what others do while it has no tiles."""
    assert credit(view(waiting(1, 9), bulk_credit=0.3)) == 0.3


def test_credit_is_paid_by_launches_that_nobody_else_wanted() -> None:
    """Bulk that had the device to itself leaves the next burst of interactive tiles alone."""
    assert credit(view(waiting(1, 9, lane=Lane.BULK), bulk_credit=0.3)) == pytest.approx(0.3 + 0.4 - 4)


def test_credit_is_paid_by_left_over_slots_of_the_key_that_bulk_wants_next() -> None:
    """Bulk that fills slots anyway is not given a share on top."""
    assert credit(view(waiting(1, 1), waiting(2, 9, lane=Lane.BULK))) == pytest.approx(0.4 - 3)


def test_credit_is_not_paid_by_tiles_of_another_key_than_bulk_wants_next() -> None:
    """Filling up with bulk's later works does not starve the one whose turn it is."""
    first = waiting(2, 2, lane=Lane.BULK, key=OTHER)
    later = waiting(3, 9, lane=Lane.BULK)
    assert credit(view(waiting(1, 1), first, later)) == pytest.approx(0.4)


def test_credit_stays_within_bounds() -> None:
    """Bulk that was served for hours is not starved for hours afterwards, nor the other way round."""
    fed = view(waiting(1, 1), waiting(2, 9, lane=Lane.BULK), bulk_credit=-7.5)
    assert credit(fed, Policy(bulk_ahead_launches=2)) == -8
    starved = view(waiting(1, 9), waiting(2, 1, lane=Lane.BULK), bulk_credit=5)
    assert credit(starved, Policy(bulk_share=0.9)) == 5


def test_credit_of_a_single_slot_is_not_cut_before_it_is_paid() -> None:
    """With one tile a launch, the credit that exceeds a tile counts towards the next."""
    assert credit(view(waiting(1, 9), waiting(2, 9, lane=Lane.BULK), bulk_credit=0.9, limit=1)) == pytest.approx(1.0)
    share = Policy(bulk_share=0.3)
    assert credit(view(waiting(1, 9), waiting(2, 9, lane=Lane.BULK), bulk_credit=0.9, limit=1), share) == 1.2


def test_choice_takes_the_tenant_served_least_first() -> None:
    """Megapixels served decide between tenants, not how much or how long they ask."""
    served = {(Lane.INTERACTIVE, "acme"): 5.0, (Lane.INTERACTIVE, "zeta"): 1.0}
    assert tiles(view(waiting(1, 1), waiting(2, 9, tenant="zeta"), served=served)) == {2: 4}


def test_choice_alternates_between_tenants_served_alike() -> None:
    """Inside one launch each tile counts at once."""
    assert tiles(view(waiting(1, 9), waiting(2, 9, tenant="zeta"))) == {1: 2, 2: 2}


def test_choice_counts_megapixels_apart_for_each_class() -> None:
    """A tenant's bulk run does not slow down its own interactive requests."""
    served = {(Lane.BULK, "acme"): 1000.0, (Lane.INTERACTIVE, "zeta"): 1.0}
    assert tiles(view(waiting(1, 9), waiting(2, 9, tenant="zeta"), served=served, limit=1)) == {1: 1}


def test_choice_takes_the_work_with_fewest_tiles_left_first() -> None:
    """Shortest remaining first keeps small pictures fast."""
    assert tiles(view(waiting(1, 5), waiting(2, 2), waiting(3, 4), limit=3)) == {2: 2, 3: 1}


def test_choice_takes_the_older_work_first_when_equal() -> None:
    """Ties go by arrival."""
    assert tiles(view(waiting(2, 5), waiting(1, 5))) == {1: 4}


def test_choice_takes_a_long_work_first_when_it_waited_long_enough() -> None:
    """Ten tiles more are worth ten seconds at one tile a second."""
    assert tiles(view(waiting(1, 12, arrived=0), waiting(2, 2, arrived=9.9))) == {2: 2, 1: 2}
    assert tiles(view(waiting(1, 12, arrived=0), waiting(2, 2, arrived=10.1))) == {1: 4}


def test_choice_takes_a_work_near_its_deadline_first() -> None:
    """Among a tenant's works the nearest deadline within the urgent time wins over the shortest."""
    works = waiting(1, 1), waiting(2, 9, deadline=104.0), waiting(3, 9, deadline=103.0), waiting(4, 9, deadline=106.0)
    assert tiles(view(*works, now=100.0)) == {3: 4}


def test_choice_does_not_let_a_deadline_jump_over_another_tenants_turn() -> None:
    """Deadlines are the caller's to set, so they order only the caller's own works."""
    served = {(Lane.INTERACTIVE, "acme"): 1.0, (Lane.INTERACTIVE, "zeta"): 0.0}
    assert tiles(view(waiting(1, 1, deadline=0.1), waiting(2, 9, tenant="zeta"), served=served, limit=1)) == {2: 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bulk_share", -0.1),
        ("bulk_share", 1.0),
        ("bulk_share", math.nan),
        ("bulk_ahead_launches", -1),
        ("aging_tiles_per_second", -1.0),
        ("aging_tiles_per_second", math.inf),
        ("urgent_seconds", math.nan),
        ("urgent_seconds", -1.0),
    ],
)
def test_policy_refuses_a_value_out_of_range(field: str, value: Any) -> None:
    """The error names the field, the limit and the value."""
    with pytest.raises(ValueError, match=f"{field}: must be at least 0 .*got {value}"):
        replace(POLICY, **{field: value})
