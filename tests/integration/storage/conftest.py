"""A bucket of its own in the store of the session for each test."""

from collections.abc import AsyncIterator

import pytest

from pipeline.settings import StoreSettings
from pipeline.storage.client import Store
from tests.support.store import fresh_bucket


@pytest.fixture
async def store(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with fresh_bucket(store_settings) as store:
        yield store
