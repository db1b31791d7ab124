"""Fixtures of the tests against real servers."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from pipeline.embedded.broker import Broker, embedded_broker
from pipeline.settings import KafkaSettings, Settings, StoreSettings, TelemetrySettings
from pipeline.variables import environment
from schemas.topics import Topics
from tests.support.broker import broker_settings, created_topics, outliving_loops
from tests.support.commands import Commands, command_line
from tests.support.postgresql import PostgreSQL, running_postgresql
from tests.support.requirement import required
from tests.support.store import running_store


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One embedded broker for all tests of a run."""
    with outliving_loops(embedded_broker(tmp_path_factory.mktemp("broker"))) as running:
        yield running


@pytest.fixture(scope="session")
def broker(embedded: Broker) -> Broker:
    """The broker that tests use unless their folder has more to say."""
    return embedded


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def store_settings(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StoreSettings]:
    """One store for all tests of a run."""
    async with running_store(tmp_path_factory.mktemp("store")) as settings:
        yield settings


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests of a run."""
    with required(), outliving_loops(running_postgresql()) as running:
        yield running


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The command line in processes of its own."""
    with command_line(tmp_path_factory.mktemp("commands")) as running:
        yield running


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """Settings whose topic prefix and group no other test has."""
    return broker_settings(broker.servers)


@pytest.fixture
async def topics(kafka: KafkaSettings) -> Topics:
    """The topics of `kafka`, created."""
    return await created_topics(kafka)


@pytest.fixture
def variables(kafka: KafkaSettings, topics: Topics, store_settings: StoreSettings) -> dict[str, str]:
    """The environment of a deployment in which nothing is wrong; its topics are its own."""
    assert topics.events.name.startswith(kafka.topic_prefix)
    return environment(Settings(kafka=kafka, store=store_settings, telemetry=TelemetrySettings(port=0)))
