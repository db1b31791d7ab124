"""What the dispatcher throws away, and how soon."""

from collections.abc import AsyncIterator

import pytest

from pipeline.dispatcher import upkeep
from pipeline.dispatcher.upkeep import Keep, Upkeep
from pipeline.settings import StateSettings, WebhookSettings
from pipeline.state.database import Database, open_database
from pipeline.state.delivery_log import log_of
from pipeline.state.job_rows import find, write_jobs
from pipeline.state.jobs import JobName, JobRow
from pipeline.state.migrate import migrate
from pipeline.state.records import Outcome
from schemas.events import Event
from schemas.topics import declare
from schemas.webhooks import JobState
from tests.support.deliveries import EXHAUSTED, NOON, attempt, claimed, planned, recorded, registered

pytestmark = pytest.mark.integration

DAY = 86_400.0


@pytest.fixture
async def database(sqlite_state: StateSettings) -> AsyncIterator[Database]:
    async with open_database(sqlite_state, migrating=True) as database:
        await migrate(database)
        yield database


async def say(_: Event) -> None:
    pass


def pruning(database: Database, now: float) -> Upkeep:
    config = WebhookSettings()
    return Upkeep(database, say, "/test", Keep(config.keep_seconds, config.keep_jobs_seconds), lambda: now)


async def ended(database: Database, job: str, at: float) -> JobName:
    name = JobName("acme", job)
    async with database.write() as connection:
        await write_jobs(connection, [JobRow(name, JobState.COMPLETED, at, "event", {}, {}, at)], at)
    return name


async def test_job_outlasts_the_events_that_could_tell_of_its_end_again(database: Database) -> None:
    """And its deliveries. Only then is it forgotten, since an end that is read again would be told again."""
    name = await ended(database, "job", NOON)
    await planned(database, await registered(database))
    (one,) = await claimed(database)
    await recorded(database, [attempt(one, Outcome.REFUSED, EXHAUSTED)])
    kept = declare("p", partitions=1).events.retention_ms / 1000

    await pruning(database, NOON + kept + 2).prune()
    async with database.read() as connection:
        assert await find(connection, name) is not None
        assert not await log_of(connection)

    await pruning(database, NOON + 15 * DAY).prune()
    async with database.read() as connection:
        assert await find(connection, name) is None


async def test_pruning_says_when_there_may_be_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is then taken at once: in ten minutes more may end than a batch holds."""
    monkeypatch.setattr(upkeep, "ROWS", 2)
    for number in range(3):
        await ended(database, f"job-{number}", NOON)

    of_all = pruning(database, NOON + 15 * DAY)

    assert [await of_all.prune() for _ in range(2)] == [True, False]
