"""The store of the session, and a bucket of its own for each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pipeline.settings import StoreSettings
from pipeline.storage.client import Store
from tests.support.store import fresh_bucket, running_store


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def store_settings(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StoreSettings]:
    async with running_store(tmp_path_factory.mktemp("store")) as settings:
        yield settings


@pytest.fixture
async def store(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with fresh_bucket(store_settings) as store:
        yield store
