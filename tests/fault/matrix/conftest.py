"""One site for all rows."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.fault_site import Site, site
from tests.support.requirement import required


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Three brokers, a store and a nursery."""
    with required():
        async with site(tmp_path_factory.mktemp("site"), seed=1) as running:
            yield running


@pytest.fixture
def fault_seed(request: pytest.FixtureRequest) -> int:
    """Draws which worker, which broker and when: `--fault-seed`."""
    return int(request.config.getoption("--fault-seed"))
