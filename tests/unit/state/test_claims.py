"""Guarantees of the pure part of pipeline.state.claims."""

from pipeline.state.claims import shares
from pipeline.state.health import OPENS_AFTER
from pipeline.state.records import Health
from tests.support.deliveries import NOON, an_endpoint, room

A, B, C = (an_endpoint(f"ep_{name}", host=f"{name}.example") for name in "abc")


def test_endpoints_share_the_room_in_the_order_given_until_it_is_full() -> None:
    assert shares([B, A, C], room(7), NOON) == {B.id: 5, A.id: 2}
    assert list(shares([B, A, C], room(15), NOON)) == [B.id, A.id, C.id]
    assert shares([A], room(0), NOON) == {}


def test_attempts_under_way_are_counted_for_their_endpoint_and_their_host() -> None:
    assert shares([A, B], room(busy={A.id: 4, B.id: 6}), NOON) == {A.id: 1}
    assert shares([A, B], room(busy_hosts={A.host: 18, B.host: 20}), NOON) == {A.id: 2}


def test_endpoints_of_one_host_share_its_slots() -> None:
    twins = [an_endpoint(f"ep_{number}") for number in range(4)]
    assert shares(twins, room(per_host=8), NOON) == {"ep_0": 5, "ep_1": 3}


def test_open_circuit_gets_one_probe_and_none_while_it_is_held() -> None:
    probed = an_endpoint("ep_p", health=Health(OPENS_AFTER, NOON - 99, NOON))
    held = an_endpoint("ep_h", health=Health(OPENS_AFTER, NOON - 99, NOON + 1))
    assert shares([probed, held], room(), NOON) == {"ep_p": 1}
    assert shares([probed], room(busy={"ep_p": 1}), NOON) == {}
