"""Every command that the deployment files name is one that the program understands."""

import shlex

import pytest

from pipeline.__main__ import build_parser
from tests.support.deployment import Command, commands


@pytest.mark.parametrize("command", commands(), ids=lambda each: f"{each.where}: {shlex.join(each.words)}")
def test_command_is_understood(command: Command) -> None:
    """A container that starts with a misspelt command fails here and not on the operator's machine."""
    build_parser().parse_args(list(command.words))
