"""A real PostgreSQL for tests, from the system's packages, and databases in it for one test each."""

import os
import pwd
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
from pydantic import SecretStr

from pipeline.embedded.process import LOOPBACK, Child, free_port
from pipeline.settings import StateSettings
from pipeline.state.database import open_database
from pipeline.state.migrate import migrate
from tests.support.requirement import Unavailable

DEBIAN = Path("/usr/lib/postgresql")
USER = "upscale"
PASSWORD = "not-for-any-log"
START_SECONDS = 60.0
TEMPLATE = "migrated"
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Nothing of it is to outlive the machine."""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A running server with one database that has our tables."""

    port: int

    def settings(self, name: str, *, port: int | None = None) -> StateSettings:
        """Of the database `name`; `port` for whoever stands in between."""
        url = f"postgresql://{USER}:{PASSWORD}@{LOOPBACK}:{port or self.port}/{name}"
        return StateSettings(url=SecretStr(url))

    async def run(self, statement: str, database: str = "postgres") -> None:
        """One statement outside of any transaction."""
        connection = await asyncpg.connect(self.settings(database).url.get_secret_value())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def fresh(self, template: str = TEMPLATE) -> AsyncIterator[StateSettings]:
        """A database that nobody else uses, with our tables or, from `template0`, without."""
        name = f"t_{uuid4().hex[:12]}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.settings(name)
        finally:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def running_postgresql() -> AsyncIterator[PostgreSQL]:
    """A server of our own, started once for a whole test session. Raises `Unavailable`, `ChildFailed`."""
    programs = installed()
    # Not pytest's folders: those only their owner may enter, and the server refuses to run as root.
    with TemporaryDirectory(prefix="upscale-postgresql-") as name:
        folder = Path(name)
        _give_away(folder)
        await _create(programs, folder)
        server = PostgreSQL(free_port())
        async with Child("PostgreSQL", _server(programs, folder, server.port), {}, folder / "server.log") as child:
            await child.ready(lambda: _answers(server), START_SECONDS)
            await server.run(f"CREATE DATABASE {TEMPLATE}")
            async with open_database(server.settings(TEMPLATE)) as database:
                await migrate(database)
            yield server


def installed(debian: Path = DEBIAN) -> Path:
    """The folder of the newest PostgreSQL's programs. Raises `Unavailable`."""
    found = sorted(debian.glob("*/bin/postgres"), key=lambda program: int(program.parts[-3]))
    if not found:
        raise Unavailable(f"there is no PostgreSQL under {debian}; install the system's package `postgresql`")
    return found[-1].parent


def _server(programs: Path, folder: Path, port: int) -> list[str]:
    options = (
        f"port={port}",
        f"listen_addresses={LOOPBACK}",
        f"unix_socket_directories={folder}",
        "max_connections=200",
        *UNSAFE,
    )
    return [
        *_as_somebody(),
        str(programs / "postgres"),
        "-D",
        str(folder / "data"),
        *(f"--{option}" for option in options),
    ]


async def _create(programs: Path, folder: Path) -> None:
    """An empty cluster. Its words are sorted as people sort them, which is not the order of their bytes."""
    password = folder / "password"
    password.write_text(PASSWORD)
    sorting = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
    access = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}"]
    argv = [
        *_as_somebody(),
        str(programs / "initdb"),
        "-D",
        str(folder / "data"),
        "--no-sync",
        "--encoding=UTF8",
        *sorting,
        *access,
    ]
    async with Child("initdb", argv, {}, folder / "initdb.log") as child:
        status = await child.ended()
        assert status == 0, (folder / "initdb.log").read_text()


def _as_somebody() -> list[str]:
    """What stands before a program that will not run as root."""
    if os.geteuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        raise Unavailable("there is no setpriv on PATH, and PostgreSQL does not run as root")
    owner = _somebody()
    # The tether of `Child` comes off with root's rights; this ties it anew.
    rights = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--pdeathsig=KILL"]
    return [setpriv, *rights, "--"]


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, _somebody().pw_uid, _somebody().pw_gid)


def _somebody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


async def _answers(server: PostgreSQL) -> bool:
    try:
        await server.run("SELECT 1")
    except (OSError, asyncpg.PostgresError):
        return False
    return True
