"""Builders for the batching policy's view of a queue."""

from collections.abc import Mapping

from pipeline.batching.policy import Account, View, Waiting
from pipeline.batching.work import BatchKey
from schemas.topics import Lane

KEY = BatchKey("general", 1000, 1000)
"""One megapixel a tile."""
OTHER = BatchKey("anime", 1000, 1000)


def waiting(
    ticket: int,
    remaining: int = 1,
    *,
    key: BatchKey = KEY,
    lane: Lane = Lane.INTERACTIVE,
    tenant: str = "acme",
    arrived: float = 0.0,
    deadline: float | None = None,
) -> Waiting:
    return Waiting(ticket, key, lane, tenant, remaining, arrived, deadline)


def view(
    *works: Waiting,
    served: Mapping[Account, float] | None = None,
    bulk_credit: float = 0.0,
    limit: int = 4,
    now: float = 0.0,
) -> View:
    return View(works, served or {}, bulk_credit, {work.key: limit for work in works}, now)
