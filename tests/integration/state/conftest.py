"""A database of its own for each test, once on SQLite and once on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.settings import StateSettings
from pipeline.state.database import Database, open_database
from pipeline.state.migrate import migrate
from tests.support.broker import outliving_loops
from tests.support.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def state_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateSettings]:
    """Of a database that nobody else uses; `migrate` makes its tables where they are not there yet."""
    if request.param == "sqlite":
        yield StateSettings(url=SecretStr(f"sqlite:///{tmp_path / 'state.db'}"))
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    with outliving_loops(server.fresh()) as settings:
        yield settings


@pytest.fixture
async def database(state_settings: StateSettings) -> AsyncIterator[Database]:
    """Open, with the tables of today, empty."""
    async with open_database(state_settings, migrating=True) as database:
        await migrate(database)
        yield database
