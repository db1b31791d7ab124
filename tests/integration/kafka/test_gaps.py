"""Where the two brokers differ, they differ as `docs/brokers.md` says."""

import asyncio

import pytest

from pipeline.embedded.broker import Broker
from tests.support.broker import broker_settings
from tests.support.gaps import GAPS, Gap, is_filled
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

EACH_GAP = pytest.mark.parametrize("gap", GAPS, ids=[gap.name for gap in GAPS])


@EACH_GAP
async def test_apache_kafka_does_what_the_list_says(apache: Broker, gap: Gap) -> None:
    """What is listed as Kafka's behaviour is. It may take its time, and what it raises is told."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await gap.filled(broker_settings(apache.servers))


@EACH_GAP
async def test_embedded_broker_does_not_do_it(embedded: Broker, gap: Gap) -> None:
    """A gap that is filled leaves the list, and what was built around it may go."""
    assert not await is_filled(gap, broker_settings(embedded.servers))
