"""What `upscale topics` prints."""

import argparse

import pytest

from pipeline.kafka.admin import Standing, TopicReport
from pipeline.tools import topics


def test_topics_are_listed_in_columns() -> None:
    """A person finds the standing first and the names under one another."""
    reports = [
        TopicReport("events", Standing.OK, "16 partitions"),
        TopicReport("dead-letters", Standing.MISSING, "declared with 1 partition"),
    ]
    assert topics.lines(reports) == [
        "ok       events        16 partitions",
        "missing  dead-letters  declared with 1 partition",
    ]


def test_action_is_create_or_check() -> None:
    """Anything else is refused by the command line itself."""
    parser = argparse.ArgumentParser()
    topics.add_arguments(parser)
    assert parser.parse_args(["create"]).action == "create"
    with pytest.raises(SystemExit):
        parser.parse_args(["delete"])
