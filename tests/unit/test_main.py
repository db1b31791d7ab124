"""The command line as a whole."""

from pathlib import Path

import pytest

from pipeline import __main__ as command_line
from pipeline.__main__ import CANNOT_START, INTERRUPTED, main


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
