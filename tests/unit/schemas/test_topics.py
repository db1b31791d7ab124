"""Topics are named alike everywhere."""

from schemas.topics import DAY_MS, Lane, declare


def test_topics_are_named_under_the_prefix() -> None:
    """Deployments that share a broker are told apart by it."""
    assert [topic.name for topic in declare("eu").all()] == [
        "eu.requests.interactive",
        "eu.requests.bulk",
        "eu.retries.interactive.30s",
        "eu.retries.interactive.5m",
        "eu.retries.interactive.30m",
        "eu.retries.bulk.30s",
        "eu.retries.bulk.5m",
        "eu.retries.bulk.30m",
        "eu.control",
        "eu.events",
        "eu.dead-letters",
    ]


def test_topics_spread_over_the_partitions_asked_for() -> None:
    """Dead letters and cancellations are few and read in order, so they have one; few jobs wait for another try."""
    declared = declare(partitions=5)
    assert {topic.partitions for topic in (*declared.requests.values(), declared.events)} == {5}
    assert {topic.partitions for tiers in declared.retries.values() for topic in tiers} == {4}
    assert (declared.control.partitions, declared.dead_letters.partitions) == (1, 1)


def test_dead_letters_outlive_the_rest() -> None:
    """Somebody has to find the time to look at them."""
    declared = declare()
    assert declared.dead_letters.retention_ms == 30 * DAY_MS
    assert {declared.requests[lane].retention_ms for lane in Lane} == {declared.events.retention_ms} == {7 * DAY_MS}
