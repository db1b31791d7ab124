"""The server that tests bring along: which programs it is, and what is said when there are none."""

from pathlib import Path

import pytest

from tests.support.postgresql import PASSWORD, PostgreSQL, installed
from tests.support.requirement import Unavailable


def test_newest_of_the_system_is_taken(tmp_path: Path) -> None:
    """By number: 9 is older than 15."""
    for version in ("9", "15", "14"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "postgres").touch()
    assert installed(tmp_path) == tmp_path / "15" / "bin"


def test_missing_server_is_told_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="install the system's package `postgresql`"):
        installed(tmp_path)


def test_settings_do_not_show_the_password() -> None:
    settings = PostgreSQL(5432).settings("jobs")
    assert PASSWORD not in repr(settings)
    assert settings.url.get_secret_value() == f"postgresql://upscale:{PASSWORD}@127.0.0.1:5432/jobs"
