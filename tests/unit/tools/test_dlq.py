"""The command line of `upscale dlq`."""

import argparse

import pytest

from pipeline.errors import PipelineError
from pipeline.settings import KafkaSettings, Settings
from pipeline.tools import dlq

NOWHERE = Settings(kafka=KafkaSettings(servers="127.0.0.1:1"))


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    dlq.add_arguments(parser)
    return dlq.main(parser.parse_args(words), NOWHERE)


@pytest.mark.parametrize("action", ["replay", "drop"])
def test_everything_is_meant_only_when_it_is_said(action: str) -> None:
    """A forgotten filter does not play a year's letters again; nothing is contacted to say so."""
    with pytest.raises(
        PipelineError, match="nothing restricts what is meant: name letters, give a filter, or say --all"
    ):
        run(action)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("replay", "--all", "--rate", "0"), "--rate: must be"),
        (("list", "--limit", "x"), "--limit: must be"),
        (("show", "first"), "OFFSET: must be"),
        (("drop", "--since", "then"), "--since: must be"),
    ],
)
def test_argument_that_cannot_be_is_told_before_anything_is_contacted(words: tuple[str, ...], told: str) -> None:
    """A typing mistake costs nothing."""
    with pytest.raises(PipelineError, match=told):
        run(*words)
