"""What tenants were given."""

import pytest

from pipeline.batching.shares import Shares
from schemas.topics import Lane

ACME = (Lane.INTERACTIVE, "acme")
ZETA = (Lane.INTERACTIVE, "zeta")
THIRD = (Lane.INTERACTIVE, "omega")
BULK = (Lane.BULK, "zeta")


def test_shares_start_a_newcomer_at_what_the_others_have() -> None:
    """Time away earns nothing: a newcomer is not owed what the others got before it came."""
    shares = Shares()
    shares.arrive(ACME)
    shares.charge(ACME, 7.0)
    shares.arrive(ZETA)
    assert shares.served[ZETA] == 7.0


def test_shares_start_a_newcomer_at_the_fair_level_of_those_who_are_here() -> None:
    """Where one tenant was given 6 megapixels and the other 2, an even service would have given each 4."""
    shares = Shares()
    shares.arrive(ACME)
    shares.arrive(ZETA)
    shares.charge(ACME, 6.0)
    shares.charge(ZETA, 2.0)
    shares.arrive(THIRD)
    assert shares.served[THIRD] == 4.0


def test_shares_lift_newcomers_although_each_is_served_only_once() -> None:
    """An endless row of new tenants does not stay below a tenant that was served before them."""
    shares = Shares()
    shares.arrive(ACME)
    shares.arrive(ZETA)
    shares.charge(ACME, 1.0)
    for number in range(4):
        account = (Lane.INTERACTIVE, f"new-{number}")
        shares.arrive(account)
        shares.charge(account, 1.0)
        shares.leave(account)
    shares.arrive(THIRD)
    assert shares.served[THIRD] > shares.served[ACME]


def test_shares_are_apart_for_each_class() -> None:
    """What is served in one class changes nothing in the other."""
    shares = Shares()
    shares.arrive(ACME)
    shares.charge(ACME, 7.0)
    shares.arrive(BULK)
    assert shares.served[BULK] == 0.0


def test_shares_remember_who_left_with_more_than_the_others_have() -> None:
    """Leaving and coming back does not reset what was served."""
    shares = Shares()
    shares.arrive(ACME)
    shares.arrive(ZETA)
    shares.charge(ACME, 7.0)
    shares.leave(ACME)
    shares.arrive(ACME)
    assert shares.served[ACME] == 7.0


def test_shares_forget_the_absent_who_would_be_lifted_anyway() -> None:
    """Counters of tenants that left do not pile up."""
    shares = Shares()
    shares.arrive(ACME)
    shares.arrive(ZETA)
    shares.charge(ZETA, 7.0)
    shares.leave(ACME)
    assert dict(shares.served) == {ZETA: 7.0}


def test_shares_forget_all_of_a_class_when_nobody_is_left_in_it() -> None:
    """An empty class has served everyone; the other class keeps its counters."""
    shares = Shares()
    for account in (ACME, BULK):
        shares.arrive(account)
        shares.charge(account, 7.0)
    shares.leave(ACME)
    assert dict(shares.served) == {BULK: 7.0}
    shares.arrive(ACME)
    assert shares.served[ACME] == 0.0


def test_shares_keep_an_account_while_it_has_another_work() -> None:
    """A tenant leaves with its last work, not with its first."""
    shares = Shares()
    shares.arrive(ACME)
    shares.arrive(ACME)
    shares.charge(ACME, 7.0)
    shares.leave(ACME)
    assert dict(shares.served) == {ACME: 7.0}


def test_shares_are_read_only_from_outside() -> None:
    """Only arrivals, charges and leaves change a counter."""
    with pytest.raises(TypeError):
        Shares().served[ACME] = 1.0  # type: ignore[index]
