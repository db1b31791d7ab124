"""The consumer's settings, each for its reason."""

import inspect

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.subscription_state import SubscriptionState

from pipeline.kafka.consume import consumer_options
from pipeline.settings import KafkaSettings

OPTIONS = consumer_options(KafkaSettings())


def test_offsets_are_committed_by_us_alone() -> None:
    """aiokafka's own commits carry what was handed out, which loses what was in work."""
    assert OPTIONS["enable_auto_commit"] is False


def test_new_group_reads_from_the_beginning() -> None:
    """Requests accepted before the first worker came up are not skipped."""
    assert OPTIONS["auto_offset_reset"] == "earliest"


def test_there_is_one_assignor() -> None:
    """With two, aiokafka joins twice, and each join is a rebalance of everybody."""
    assert len(OPTIONS["partition_assignment_strategy"]) == 1


def test_revocation_rebalance_and_request_nest() -> None:
    """A join is sent under the plain request timeout: were it shorter, members would throw each other out."""
    settings = KafkaSettings()
    assert settings.revoke_budget_seconds * 1000 < OPTIONS["rebalance_timeout_ms"] < OPTIONS["request_timeout_ms"]


def test_session_lasts_three_heartbeats() -> None:
    """One lost heartbeat does not cost the partitions."""
    assert 3 * OPTIONS["heartbeat_interval_ms"] <= OPTIONS["session_timeout_ms"]


def test_poll_interval_is_far_above_the_pace_of_polling() -> None:
    """It watches the poll loop, which turns several times a second; jobs may take as long as they need."""
    assert OPTIONS["max_poll_interval_ms"] == 60_000


def test_little_is_fetched_at_a_time() -> None:
    """A pause throws away what was fetched."""
    assert OPTIONS["max_partition_fetch_bytes"] == 262_144


def test_a_record_does_not_wait_for_other_partitions_to_have_one() -> None:
    """Of those that it holds nothing of, aiokafka asks once and waits; what follows meanwhile in the one that it has
    just read comes after that."""
    assert OPTIONS["fetch_max_wait_ms"] <= 50


def test_members_are_dynamic() -> None:
    """Static membership is half built in aiokafka: a dead member would keep its partitions."""
    assert "group_instance_id" not in OPTIONS


def test_every_option_is_known_to_aiokafka() -> None:
    """A misspelt option would fail only when a worker starts."""
    assert set(OPTIONS) <= set(inspect.signature(AIOKafkaConsumer).parameters)


async def test_aiokafka_takes_an_aborted_poll_for_one_that_never_ends() -> None:
    """Why polls are not cancelled. When this fails, upstream has mended it, and the poll loop may say so."""
    state = SubscriptionState()
    with pytest.raises(TimeoutError), state.fetch_context():
        raise TimeoutError
    assert state._fetch_count == 1
    assert state.fetcher_idle_time == 0
