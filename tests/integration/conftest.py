"""Fixtures of the tests against real servers."""

from collections.abc import Iterator

import pytest

from pipeline.embedded.broker import Broker, embedded_broker
from pipeline.settings import KafkaSettings
from schemas.topics import Topics
from tests.support.broker import broker_settings, created_topics, outliving_loops


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One embedded broker for all tests of a run."""
    with outliving_loops(embedded_broker(tmp_path_factory.mktemp("broker"))) as running:
        yield running


@pytest.fixture(scope="session")
def broker(embedded: Broker) -> Broker:
    """The broker that tests use unless their folder has more to say."""
    return embedded


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """Settings whose topic prefix and group no other test has."""
    return broker_settings(broker.servers)


@pytest.fixture
async def topics(kafka: KafkaSettings) -> Topics:
    """The topics of `kafka`, created."""
    return await created_topics(kafka)
