"""Guarantees of pipeline.dispatcher.upkeep, with a database that is there and one that is not."""

import socket
from dataclasses import replace

import pytest
from pydantic import SecretStr

from pipeline.dispatcher.upkeep import Keep, Upkeep
from pipeline.errors import StateUnavailable
from pipeline.settings import StateSettings
from pipeline.state.connecting import engine_for
from pipeline.state.database import open_database
from pipeline.state.migrate import migrate
from schemas.events import Event
from tests.support.exposition import sample

pytestmark = pytest.mark.integration


async def say(event: Event) -> None:
    raise AssertionError(event)


async def test_gauge_says_that_the_database_is_away_and_that_it_is_back(sqlite_state: StateSettings) -> None:
    """Also while there is nothing to tell and nothing to read, when nobody else would ask."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    nobody = StateSettings(url=SecretStr(f"postgresql://upscale@127.0.0.1:{port}/upscale"))
    async with open_database(sqlite_state, migrating=True) as database:
        await migrate(database)
        there = Upkeep(database, say, "tests", Keep(60.0, 60.0), lambda: 0.0)
        gone = replace(there, database=replace(database, engine=engine_for(nobody)))
        with pytest.raises(StateUnavailable):
            await gone.measure()
        assert sample("upscale_database_away") == 1
        await there.measure()
        assert sample("upscale_database_away") == 0
