"""Guarantees of pipeline.state.connecting: which URLs are understood, and what is shown of them."""

import pytest
from pydantic import SecretStr

from pipeline.settings import InvalidSettings, StateSettings
from pipeline.state.connecting import address_of, engine_for


def settings(url: str) -> StateSettings:
    return StateSettings(url=SecretStr(url))


@pytest.mark.parametrize(
    ("url", "address", "driver"),
    [
        ("sqlite:///upscale.db", "upscale.db", "aiosqlite"),
        ("sqlite:////var/lib/upscale/state.db", "/var/lib/upscale/state.db", "aiosqlite"),
        ("postgresql://me:secret@db.example/jobs", "db.example:5432/jobs", "asyncpg"),
        ("postgresql://me:secret@db.example:6432/jobs?sslmode=require", "db.example:6432/jobs", "asyncpg"),
        ("postgresql://me@/jobs?host=/run/postgresql&password=secret", "/run/postgresql:5432/jobs", "asyncpg"),
        ("postgresql:///jobs", "localhost:5432/jobs", "asyncpg"),
    ],
)
def test_url_names_a_driver_and_an_address_without_secrets(url: str, address: str, driver: str) -> None:
    """The address goes into messages and logs."""
    assert address_of(settings(url)) == address
    assert engine_for(settings(url)).dialect.driver == driver


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@db.example/jobs",
        "postgres://me:secret@db.example/jobs",
        "postgresql+psycopg://me:secret@db.example/jobs",
        "postgresql://me:secret@db.example:port/jobs",
        "/var/lib/secret.db",
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://secret/state.db",
        "sqlite:///state.db?mode=ro",
    ],
)
def test_other_url_is_refused_by_the_name_of_its_setting(url: str) -> None:
    """With the forms that are understood, and without what it may hold."""
    for refusing in (address_of, engine_for):
        with pytest.raises(InvalidSettings, match=r"^UPSCALE_STATE__URL: must be `sqlite:///FILE` or") as caught:
            refusing(settings(url))
        assert "secret" not in str(caught.value)
