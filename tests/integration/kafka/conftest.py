"""The same tests on both brokers: the embedded one, and Apache Kafka."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from pipeline.embedded.broker import Broker, embedded_broker
from tests.support.apache_kafka.broker import apache_kafka
from tests.support.broker import outliving_loops
from tests.support.requirement import required

EMBEDDED = "embedded"
APACHE = "apache"


@asynccontextmanager
async def apache_broker(folder: Path) -> AsyncIterator[Broker]:
    """Apache Kafka as one broker, in the words of the embedded one."""
    with required():
        async with apache_kafka(folder) as cluster:
            yield Broker(cluster.servers, cluster.brokers[0].child)


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker of Apache Kafka for all tests of a run."""
    with outliving_loops(apache_broker(tmp_path_factory.mktemp("apache"))) as running:
        yield running


@pytest.fixture(scope="session", params=[EMBEDDED, APACHE])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    running: Broker = request.getfixturevalue(request.param)
    return running


@pytest.fixture(params=[EMBEDDED, APACHE])
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
    """Each kind of broker in turn, not yet started, for a test that takes it down."""
    return embedded_broker(tmp_path) if request.param == EMBEDDED else apache_broker(tmp_path)
