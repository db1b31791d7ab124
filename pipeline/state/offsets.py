"""How far the events have been read: kept beside what they led to, so that both move together or not at all."""

from collections.abc import Mapping
from functools import cache

from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import inserting
from pipeline.state.tables import offsets

Positions = Mapping[tuple[str, int], int]
"""Topic and partition -> the next offset to read."""


async def read_offsets(connection: AsyncConnection, topic: str | None = None) -> dict[tuple[str, int], int]:
    """The next offset to read of each partition that was read before; of one topic, or of all."""
    query = select(offsets) if topic is None else select(offsets).where(offsets.c.topic == topic)
    return {(row.topic, row.partition): row.next for row in await connection.execute(query)}


async def advance(connection: AsyncConnection, positions: Positions) -> None:
    """Move on to these offsets. A partition that has been read further stays where it is."""
    if not positions:
        return
    await connection.execute(
        _advancing(connection.dialect.name),
        # In one order, so that two who advance the same partitions wait and never lock each other out.
        [
            {"topic": topic, "partition": part, "next": position}
            for (topic, part), position in sorted(positions.items())
        ],
    )


@cache
def _advancing(dialect: str) -> Executable:
    statement = inserting(dialect, offsets)
    return statement.on_conflict_do_update(
        index_elements=["topic", "partition"],
        set_={"next": statement.excluded.next},
        where=statement.excluded.next > offsets.c.next,
    )
