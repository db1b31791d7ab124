"""A dispatcher's settings, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.settings import StateSettings
from tests.support.broker import outliving_loops
from tests.support.postgresql import PostgreSQL


@pytest.fixture
def sqlite_state(tmp_path: Path) -> StateSettings:
    """A file of its own."""
    return StateSettings(url=SecretStr(f"sqlite:///{tmp_path / 'upscale.db'}"))


@pytest.fixture
def postgresql_state(postgresql: PostgreSQL) -> Iterator[StateSettings]:
    """A database of its own."""
    with outliving_loops(postgresql.fresh()) as settings:
        yield settings
