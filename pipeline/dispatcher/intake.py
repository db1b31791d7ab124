"""Records -> rows and deliveries, in one transaction with the offsets: what was taken is kept, or comes again."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.dispatcher import plan, targets
from pipeline.dispatcher.at_once import AtOnce, Hands
from pipeline.dispatcher.payload import body_of
from pipeline.dispatcher.plan import Planned
from pipeline.errors import PipelineError
from pipeline.kafka.retry import first_origin
from pipeline.kafka.scan import Record
from pipeline.state import endpoints, offsets
from pipeline.state.database import Connection, Database
from pipeline.state.job_rows import read_jobs, write_jobs
from pipeline.state.jobs import JobName, JobRow, merged, row_of, status_of
from pipeline.state.records import Endpoint
from pipeline.storage.presign import PublicUrl
from pipeline.storage.urls import UrlPolicy
from schemas import codec
from schemas.events import Event, UpscaleRequested, event_from

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """What taking records needs."""

    database: Database
    policy: UrlPolicy
    public_url: PublicUrl
    say: Callable[[Event], Awaitable[None]]
    """Publish an event; returns when the broker has it."""
    event_source: str
    events_topic: str
    """Where our own events lie; all other topics are those that callers write to."""
    hands: Hands
    now: Callable[[], float]
    """Unix seconds."""

    async def take(self, records: Sequence[Record]) -> None:
        """Keep what the records say, or nothing. Raises `StateUnavailable` and `JobFailed` for what passes."""
        try:
            await self._take(records)
        except PipelineError:
            raise
        except Exception:
            # Coming again it would end this dispatcher, and after it every other.
            log.exception("records_not_taken", first=origin_of(records[0]), count=len(records))
            await self._take_apart(records)

    async def _take_apart(self, records: Sequence[Record]) -> None:
        """One by one, and without those that cannot be taken."""
        for record in records:
            try:
                await self._take([record])
            except PipelineError:
                raise
            except Exception:
                log.exception("record_passed_over", origin=origin_of(record))
                async with self.database.write() as connection:
                    await offsets.advance(connection, ends([record]))

    async def _take(self, records: Sequence[Record]) -> None:
        heard = [(event, record) for record in records if (event := self._believed(record)) is not None]
        for event, _ in heard:
            await self._reject(event)
        rows = [row for event, record in heard if (row := row_of(event, record.timestamp.timestamp())) is not None]
        at_once = AtOnce(self.hands)
        try:
            async with self.database.write() as connection:
                await at_once.plan(connection, await self._keep(connection, rows), self.now())
                await offsets.advance(connection, ends(records))
        except BaseException:
            at_once.give_up()
            raise
        at_once.begin()

    def _believed(self, record: Record) -> Event | None:
        """What is asked is heard on request topics, and what has become of it on ours: a caller must not say that."""
        event = understood(record)
        if event is None or isinstance(event.data, UpscaleRequested) == (record.topic != self.events_topic):
            return event
        log.warning("event_not_believed", origin=origin_of(record), type=event.type)
        return None

    async def _reject(self, event: Event) -> None:
        """Before the offset moves, and under the same id if it comes again."""
        if isinstance(event.data, UpscaleRequested) and (told := targets.rejected(event.data, self.policy)):
            log.warning("webhook_rejected", job_id=told.job_id, reason=str(told.reason))
            await self.say(event_from(told, source=self.event_source, time=datetime.fromtimestamp(self.now(), UTC)))

    async def _keep(self, connection: Connection, heard: Sequence[JobRow]) -> list[Planned]:
        """Write the rows; what follows from them for receivers."""
        before = await read_jobs(connection, {row.name for row in heard})
        rows, ended = dict(before), list[JobRow]()
        for row in heard:
            old = rows.get(row.name)
            rows[row.name] = new = row if old is None else merged(old, row)
            if plan.news(old, new):
                ended.append(new)
        await write_jobs(connection, [row for name, row in rows.items() if row != before.get(name)], self.now())
        return await self._planned(connection, ended)

    async def _planned(self, connection: Connection, ended: Sequence[JobRow]) -> list[Planned]:
        registered = await endpoints.of_tenants(connection, {row.name.tenant for row in ended})
        own = await own_endpoints(connection, ended, self.policy, self.now())
        planned = list[Planned]()
        for row in ended:
            if found := tuple(plan.targets(row, registered.get(row.name.tenant, ()), own.get(row.name))):
                planned += await self._messages(row, found)
        return planned

    async def _messages(self, row: JobRow, found: Iterable[plan.Target]) -> list[Planned]:
        status = status_of(row, await result_url(row, self.public_url))
        event, message, now = plan.EVENT_OF_STATE[row.state], plan.message_id(row.event_id), self.now()
        bodies = {each.payload: body_of(event, row.event_at, status, each.payload) for each in found}
        return [
            Planned(plan.delivery(each, row, message, bodies[each.payload], now=now), each.endpoint) for each in found
        ]


async def own_endpoints(
    connection: Connection, rows: Iterable[JobRow], policy: UrlPolicy, now: float
) -> dict[JobName, Endpoint]:
    """The endpoint of each job whose request named a webhook that may be called."""
    named = {row.name: row.webhook for row in rows}
    origins = {
        name: (name.tenant, origin)
        for name, webhook in named.items()
        if webhook and (origin := targets.callable_origin(webhook, policy))
    }
    found = await endpoints.origins(connection, origins.values(), now)
    return {name: found[origin] for name, origin in origins.items()}


async def result_url(row: JobRow, public_url: PublicUrl) -> str | None:
    """Where the result of a completed job can be read."""
    result = row.detail.get("result")
    return None if result is None else await public_url(result["url"])


def ends(records: Iterable[Record]) -> dict[tuple[str, int], int]:
    """The next offset of each partition after these records."""
    found: dict[tuple[str, int], int] = {}
    for each in records:
        place = (each.topic, each.partition)
        found[place] = max(each.offset + 1, found.get(place, 0))
    return found


def understood(record: Record) -> Event | None:
    """The event that a record is, as far as it tells of a job; the worker parks what cannot be read."""
    try:
        return codec.decode(record.value, record.headers, origin=first_origin(record.headers, origin_of(record)))
    except codec.UndecodableEvent:
        return None
    except codec.InvalidRequest as error:
        return event_from(error.request, source="refused", time=record.timestamp)


def origin_of(record: Record) -> str:
    """Topic, partition and offset."""
    return f"{record.topic}/{record.partition}/{record.offset}"
