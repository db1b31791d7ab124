"""The command line as a whole."""

import pytest

from pipeline import __main__ as command_line
from pipeline.__main__ import INTERRUPTED, main


def test_ctrl_c_while_a_command_is_imported_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing takes a second, in which people change their mind."""

    def interrupted(_module: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "import_module", interrupted)
    assert main(["submit", "cat.png"]) == INTERRUPTED
