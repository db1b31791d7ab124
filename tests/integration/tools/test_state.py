"""`upscale state`, as an operator calls it."""

from pathlib import Path

import pytest

from pipeline.state.migrate import newest
from tests.support.commands import Commands
from tests.support.postgresql import PASSWORD, PostgreSQL

pytestmark = pytest.mark.integration


def variables(url: str) -> dict[str, str]:
    return {"UPSCALE_STATE__URL": url}


def test_migrate_makes_the_tables_that_check_asks_for(commands: Commands, tmp_path: Path) -> None:
    """And says what to do while they are missing."""
    path = tmp_path / "state.db"
    missing = commands.run("state", "check", environment=variables(f"sqlite:///{path}"))
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == (
        f"upscale state: the database at {path} cannot be used: there is no such file; "
        "run `upscale state migrate`; see UPSCALE_STATE__URL\n"
    )
    assert not path.exists()
    told = f"database {path}, step {newest()}\n"
    for action, word in (("migrate", "migrated"), ("migrate", "ok"), ("check", "ok")):
        done = commands.run("state", action, environment=variables(f"sqlite:///{path}"))
        assert (done.code, done.out, done.err) == (0, f"{word:<8} {told}", "")


def test_check_names_the_server_without_the_password(commands: Commands, postgresql: PostgreSQL) -> None:
    """With a database that is not there, and with a password that is not its."""
    url = postgresql.settings("migrated").url.get_secret_value()
    good = commands.run("state", "check", environment=variables(url))
    assert (good.code, good.out) == (0, f"ok       database 127.0.0.1:{postgresql.port}/migrated, step {newest()}\n")
    for wrong, said in (
        (url.replace("/migrated", "/nobody"), "it has no database of this name"),
        (url.replace(PASSWORD, f"{PASSWORD}-wrong"), "it does not know the user, or the password is wrong"),
    ):
        refused = commands.run("state", "check", environment=variables(wrong))
        assert refused.code == 1
        assert said in refused.err
        assert "UPSCALE_STATE__URL" in refused.err
        assert PASSWORD not in refused.err


def test_url_of_another_database_is_a_mistake_in_the_settings(commands: Commands) -> None:
    ended = commands.run("state", "check", environment=variables("mysql://root:secret@127.0.0.1/x"))
    assert ended.code == 1
    assert "UPSCALE_STATE__URL: must be `sqlite:///FILE` or `postgresql://" in ended.err
    assert "secret" not in ended.err
