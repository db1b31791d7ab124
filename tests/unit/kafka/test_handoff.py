"""The hand-off between the poll loop and intake."""

import asyncio

import pytest

from pipeline.kafka.handoff import Handoff
from tests.support.requests import make_received


def filled(capacity: int, count: int) -> Handoff:
    handoff = Handoff(capacity)
    for offset in range(count):
        handoff.put(make_received(offset=offset))
    return handoff


async def taken_offset(handoff: Handoff) -> int:
    record = await handoff.take()
    assert record is not None
    return record.position.offset


async def test_handoff_gives_records_in_the_order_they_were_put() -> None:
    """First in, first out."""
    handoff = filled(4, 3)
    assert [await taken_offset(handoff) for _ in range(3)] == [0, 1, 2]


async def test_handoff_wants_no_more_when_full_until_half_is_taken() -> None:
    """A pause is neither missed nor lifted for a single free place."""
    handoff = filled(4, 3)
    assert handoff.wanting.is_set()
    handoff.put(make_received(offset=3))
    assert not handoff.wanting.is_set()
    await handoff.take()
    assert not handoff.wanting.is_set()
    await handoff.take()
    assert handoff.wanting.is_set()


async def test_handoff_keeps_what_was_fetched_before_the_pause_took_effect() -> None:
    """Its bound is a wish: a record that is here is never refused."""
    handoff = filled(1, 3)
    assert [await taken_offset(handoff) for _ in range(3)] == [0, 1, 2]


async def test_taker_waits_for_the_next_record() -> None:
    """An empty hand-off is not the end."""
    handoff = Handoff(1)
    taker = asyncio.create_task(taken_offset(handoff))
    await asyncio.sleep(0)
    handoff.put(make_received(offset=7))
    assert await taker == 7


async def test_held_handoff_gives_nothing_until_it_is_released() -> None:
    """A pause holds back what already waits, and asks for no more."""
    handoff = filled(4, 1)
    handoff.hold()
    taker = asyncio.create_task(taken_offset(handoff))
    await asyncio.sleep(0)
    assert not taker.done()
    assert not handoff.wanting.is_set()
    handoff.release()
    assert await taker == 0
    assert handoff.wanting.is_set()


async def test_cancelled_taker_leaves_its_record() -> None:
    """Giving up waiting loses nothing."""
    handoff = Handoff(1)
    taker = asyncio.create_task(handoff.take())
    await asyncio.sleep(0)
    handoff.put(make_received(offset=5))
    taker.cancel()
    await asyncio.wait({taker})
    assert await taken_offset(handoff) == 5


async def test_dropped_records_are_counted_and_make_room() -> None:
    """After a revocation nothing of the old assignment is handed out."""
    handoff = filled(2, 2)
    assert handoff.drop() == 2
    assert handoff.wanting.is_set()
    handoff.put(make_received(offset=9))
    assert await taken_offset(handoff) == 9


async def test_closed_handoff_answers_every_taker_with_none_and_wants_nothing() -> None:
    """Nobody is left waiting at shutdown, and records that wait are left for whoever comes next."""
    handoff = Handoff(2)
    taker = asyncio.create_task(handoff.take())
    await asyncio.sleep(0)
    handoff.close()
    assert await taker is None
    handoff.put(make_received())
    assert await handoff.take() is None
    assert not handoff.wanting.is_set()


async def test_failed_handoff_raises_what_stopped_it() -> None:
    """The reader learns that no record will come, and why."""
    handoff = Handoff(2)
    taker = asyncio.create_task(handoff.take())
    await asyncio.sleep(0)
    handoff.fail(ValueError("the broker is gone"))
    with pytest.raises(ValueError, match="the broker is gone"):
        await taker


async def test_handoff_refuses_to_have_no_place() -> None:
    """A capacity of none would never want anything."""
    with pytest.raises(ValueError, match="capacity: must be at least 1, got 0"):
        Handoff(0)
