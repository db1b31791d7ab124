"""The command line as a whole."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from pipeline import __main__ as command_line
from pipeline.__main__ import CANNOT_START, INTERRUPTED, NOBODY_READS, main
from tests.support.deployment_local import PATIENCE_SECONDS


def test_ctrl_c_while_a_command_is_imported_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing takes a second, in which people change their mind."""

    def interrupted(_module: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "import_module", interrupted)
    assert main(["submit", "cat.png"]) == INTERRUPTED


def test_service_that_is_not_reached_beside_up_is_told_with_the_file_to_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The settings that the error names lead away from what is missing: the line that `up` has printed."""
    monkeypatch.chdir(tmp_path)
    state = tmp_path / ".upscale"
    state.mkdir()
    (state / "env").touch()
    assert main(["webhooks", "list"]) == CANNOT_START
    told = capsys.readouterr().err
    assert told.endswith("; to reach what `upscale up` runs here, `. .upscale/env` first\n")
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [".upscale"]


def run(words: str, **streams: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "pipeline", *words.split()], stderr=subprocess.PIPE, **streams)  # type: ignore[call-overload, no-any-return]


def test_output_that_nobody_reads_ends_the_command_in_silence() -> None:
    """`| head` closes the pipe when it has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    with run("models list", stdout=writer) as process:
        os.close(writer)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said) == (NOBODY_READS, b"")


def test_output_that_has_no_room_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full, run("models list", stdout=full) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said) == (CANNOT_START, b"upscale: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("name", ["a" * 300, "http:" * 60])
def test_name_that_no_file_can_have_is_one_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["demo", name]) == CANNOT_START
    assert capsys.readouterr().err == f"upscale demo: {name}: cannot be read: File name too long\n"
