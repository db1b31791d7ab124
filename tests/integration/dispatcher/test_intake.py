"""What the dispatcher keeps of records: rows, deliveries and offsets, all or nothing."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, select

from pipeline.dispatcher.at_once import Hands
from pipeline.dispatcher.attempts import Keys
from pipeline.dispatcher.deliver import url_policy
from pipeline.dispatcher.intake import Intake, understood
from pipeline.dispatcher.tell import Teller
from pipeline.errors import JobFailed, StateUnavailable
from pipeline.kafka.retry import with_origin
from pipeline.kafka.scan import Record
from pipeline.settings import StateSettings, WebhookSettings
from pipeline.state import endpoints, tables
from pipeline.state.database import Database, open_database
from pipeline.state.endpoints import NewEndpoint
from pipeline.state.migrate import migrate
from pipeline.state.offsets import read_offsets
from pipeline.state.records import Endpoint, PendingDelivery
from schemas import codec
from schemas.callbacks import Webhook, WebhookEvent, WebhookMode
from schemas.events import Event, EventData, UpscaleCanceled, UpscaleFailed, UpscaleRequested, event_from
from schemas.failures import FailureCode
from tests.support.deliveries import attempt, claimed, recorded
from tests.support.job_events import completed, failed

pytestmark = pytest.mark.integration

NOW = 1_800_000_000.0
POLICY = url_policy(WebhookSettings())
EVENTS = "upscale.events"
HOOK = "https://hooks.example.com/a?key=1"


def record(data: EventData, offset: int = 0, *, second: float = 0.0) -> Record:
    time = datetime.fromtimestamp(NOW + second, UTC)
    message = codec.encode(event_from(data, source="/test", time=time, transition=f"{data.type}/{offset}"))
    topic = "upscale.requests.bulk" if isinstance(data, UpscaleRequested) else EVENTS
    return Record(topic, 0, offset, message.key, message.value, message.headers, time)


def asked(job: str, webhook: Webhook | None = None, tenant: str = "default") -> UpscaleRequested:
    return UpscaleRequested(job_id=job, tenant=tenant, source="https://example.com/a", webhook=webhook)


def done(job: str, tenant: str = "default") -> EventData:
    return completed().model_copy(update={"job_id": job, "tenant": tenant})


class Scene:
    """An intake on a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.said: list[Event] = []
        self.broker_away = False
        self.began: list[tuple[PendingDelivery, Keys]] = []
        self.intake = Intake(
            database=database,
            policy=POLICY,
            public_url=self.public_url,
            say=self.say,
            event_source="/test",
            events_topic=EVENTS,
            hands=Hands(lambda _: False, lambda _: None, self.began.extend, 60.0),
            now=lambda: NOW + 100,
        )

    async def say(self, event: Event) -> None:
        if self.broker_away:
            raise JobFailed(FailureCode.BROKER_UNAVAILABLE, "away")
        self.said.append(event)

    async def public_url(self, url: str) -> str:
        if "bad" in url:
            raise ZeroDivisionError
        return f"https://signed/{url}"

    async def planned(self) -> list[tuple[str | None, str, str]]:
        """Job, event and URL of every delivery."""
        columns = tables.deliveries.c
        async with self.database.read() as connection:
            found = await connection.execute(
                select(columns.job_id, columns.event, columns.url).order_by(columns.job_id)
            )
            return [(row.job_id, row.event, row.url) for row in found]

    async def offset(self, topic: str = EVENTS) -> int | None:
        async with self.database.read() as connection:
            return (await read_offsets(connection)).get((topic, 0))


@pytest.fixture
async def scene(sqlite_state: StateSettings) -> AsyncIterator[Scene]:
    async with open_database(sqlite_state, migrating=True) as database:
        await migrate(database)
        yield Scene(database)


ENDS: Sequence[tuple[EventData, str]] = (
    (completed(), WebhookEvent.COMPLETED),
    (failed(), WebhookEvent.FAILED),
    (UpscaleCanceled(job_id="j1"), WebhookEvent.CANCELED),
)


@pytest.mark.parametrize(("end", "event"), ENDS, ids=lambda each: str(getattr(each, "type", each)))
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_end_of_a_job_is_one_delivery_whichever_is_read_first(
    scene: Scene, end: EventData, event: str, order: tuple[int, int]
) -> None:
    records = [record(asked("j1", Webhook(url=HOOK)), 0), record(end, 1)]
    for number in (*order, *order):
        await scene.intake.take([records[number]])
    assert await scene.planned() == [("j1", event, HOOK)]


async def test_records_of_one_batch_are_kept_with_the_offset_after_the_last(scene: Scene) -> None:
    webhook = Webhook(url=HOOK)
    await scene.intake.take([record(asked("a", webhook), 7), record(done("a"), 8), record(done("b"), 9)])
    assert await scene.planned() == [("a", "upscale.completed", HOOK)]
    assert await scene.offset() == 10


async def test_filter_of_the_request_is_heeded(scene: Scene) -> None:
    webhook = Webhook(url=HOOK, events=(WebhookEvent.FAILED,))
    both = [record(asked(job, webhook), number) for number, job in enumerate(("a", "b"))]
    lost = UpscaleFailed(job_id="b", failure=failed().failure)
    await scene.intake.take([*both, record(done("a"), 2), record(lost, 3)])
    assert await scene.planned() == [("b", "upscale.failed", HOOK)]


async def test_job_that_fails_and_completes_when_played_again_is_told_of_twice(scene: Scene) -> None:
    """Each end is a message of its own; the earlier one coming again is none."""
    fails = record(UpscaleFailed(job_id="a", failure=failed().failure), 1, second=1)
    completes = record(done("a"), 2, second=2)
    await scene.intake.take([record(asked("a", Webhook(url=HOOK)), 0), fails])
    await scene.intake.take([completes])
    await scene.intake.take([fails])
    assert sorted(event for _, event, _ in await scene.planned()) == ["upscale.completed", "upscale.failed"]


async def test_endpoint_hears_of_what_happens_after_it_was_registered(scene: Scene) -> None:
    """Events are read again from long ago when a database is restored; nobody wants those as news."""
    async with scene.database.write() as connection:
        await endpoints.register(connection, NewEndpoint("default", HOOK), NOW + 10)
    await scene.intake.take([record(done("old"), 0, second=9), record(done("new"), 1, second=11)])
    assert await scene.planned() == [("new", "upscale.completed", HOOK)]


async def test_request_that_breaks_a_rule_is_told_of_at_its_webhook_all_the_same(scene: Scene) -> None:
    """Its options are wrong; where to say so is not."""
    bad = asked("a", Webhook(url=HOOK))
    message = record(bad, 0)
    assert message.value is not None
    broken = replace(message, value=message.value.replace(b'"scale":4.0', b'"scale":99'))
    assert broken.value != message.value
    await scene.intake.take([broken, record(UpscaleFailed(job_id="a", failure=failed().failure), 1)])
    assert await scene.planned() == [("a", "upscale.failed", HOOK)]


async def test_record_that_cannot_be_taken_is_passed_over_and_costs_no_other(scene: Scene) -> None:
    """Coming again it would end this dispatcher, and after it every other."""
    poison = completed().model_copy(update={"job_id": "b"})
    poison = poison.model_copy(update={"result": poison.result.model_copy(update={"url": "s3://bad/key"})})
    webhook = Webhook(url=HOOK)
    requests = [record(asked(job, webhook), number) for number, job in enumerate("abc")]
    await scene.intake.take([*requests, record(done("a"), 3), record(poison, 4), record(done("c"), 5)])
    assert [job for job, _, _ in await scene.planned()] == ["a", "c"]
    assert await scene.offset() == 6


async def test_what_no_event_is_moves_the_offset_and_nothing_else(scene: Scene) -> None:
    """The worker parks it."""
    nothing = Record(EVENTS, 0, 3, None, b"{no json", (), datetime.fromtimestamp(NOW, UTC))
    await scene.intake.take([nothing, replace(nothing, offset=4, value=None)])
    assert (await scene.planned(), await scene.offset()) == ([], 5)


async def test_end_of_a_job_is_not_believed_on_a_topic_that_callers_write_to(scene: Scene) -> None:
    """They would have us sign for what they made up."""
    forged = replace(record(done("a"), 1), topic="upscale.requests.bulk")
    await scene.intake.take([record(asked("a", Webhook(url=HOOK)), 0), forged])
    assert (await scene.planned(), await scene.offset(forged.topic)) == ([], 2)


@pytest.mark.parametrize("broken", [False, True])
async def test_request_among_our_events_is_not_taken(scene: Scene, broken: bool) -> None:
    """No worker reads it there: the job would wait for ever."""
    lost = replace(record(asked("a", Webhook(url="http://example.com/"))), topic=EVENTS)
    if broken:
        assert lost.value is not None
        lost = replace(lost, value=lost.value.replace(b'"scale":4.0', b'"scale":99'))
    await scene.intake.take([lost])
    assert (scene.said, await scene.offset()) == ([], 1)


async def test_rejection_that_could_not_be_said_keeps_the_record(scene: Scene) -> None:
    """It comes again, and is said then."""
    scene.broker_away = True
    bad = record(asked("a", Webhook(url="http://example.com/")))
    with pytest.raises(JobFailed):
        await scene.intake.take([bad])
    assert await scene.offset(bad.topic) is None
    scene.broker_away = False
    await scene.intake.take([bad])
    await scene.intake.take([bad])
    assert len({event.id for event in scene.said}) == 1
    assert await scene.planned() == []


async def test_payload_that_nobody_renders_is_rejected_with_those_there_are(scene: Scene) -> None:
    await scene.intake.take([record(asked("a", Webhook(url=HOOK, payload="mine"))), record(done("a"), 1)])
    [told] = scene.said
    assert told.data.model_dump()["message"] == "webhook.payload: must be one of upscale, got 'mine'"
    assert await scene.planned() == []


async def test_bare_request_that_was_handed_on_is_the_job_that_it_was(scene: Scene) -> None:
    """Back from a retry topic it lies elsewhere; taken for another job, that one would be told of for ever."""
    bare = Record("upscale.requests.bulk", 0, 8, None, b'{"source": "s3://b/k"}', (), datetime.fromtimestamp(NOW, UTC))
    back = replace(bare, offset=99, headers=with_origin((), "upscale.requests.bulk/0/8"))
    events = [understood(bare), understood(back)]
    assert len({event.data.subject for event in events if event}) == 1


async def test_running_job_is_told_of_in_time_and_no_more_often(scene: Scene) -> None:
    """At least every 15 seconds, by whichever dispatcher looks first; never after its end."""
    now = NOW
    teller = Teller(scene.database, POLICY, lambda: None, lambda: now)
    scene.intake = replace(scene.intake, now=lambda: now)
    await scene.intake.take([record(asked("a", Webhook(url=HOOK, mode=WebhookMode.SYNC)))])
    made = {}
    for now in [NOW + second for second in range(50)]:
        made[now - NOW] = await teller.turn()
    assert [second for second, count in made.items() if count] == [15, 30, 45]
    await scene.intake.take([record(done("a"), 1, second=50)])
    now = NOW + 100
    assert await teller.turn() == 0
    events = [event for _, event, _ in await scene.planned()]
    assert sorted(events) == ["upscale.completed", *["upscale.progress"] * 3]


class Places:
    """Hands with room for so many deliveries."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.began: list[str] = []
        self.hands = Hands(self.reserve, self.give_up, self.begin, 60.0)

    def reserve(self, _: Endpoint) -> bool:
        had = self.free > 0
        self.free -= had
        return had

    def give_up(self, _: Endpoint) -> None:
        self.free += 1

    def begin(self, ready: Sequence[tuple[PendingDelivery, Keys]]) -> None:
        self.began += [delivery.event for delivery, keys in ready if keys]


async def claimable(database: Database) -> int:
    columns = tables.deliveries.c
    async with database.read() as connection:
        return len((await connection.execute(select(columns.id).where(columns.claimed_until < NOW + 100))).all())


async def test_new_deliveries_are_attempted_at_once_as_far_as_there_is_room(scene: Scene) -> None:
    """The others can be claimed; what is attempted cannot, for as long as that may take."""
    places = Places(2)
    scene.intake = replace(scene.intake, hands=places.hands)
    webhook = Webhook(url=HOOK)
    requests = [record(asked(job, webhook), number) for number, job in enumerate("abc")]
    ends = [record(done(job), number) for number, job in enumerate("abc", 3)]
    await scene.intake.take([*requests, *ends])
    assert places.began == ["upscale.completed"] * 2
    assert await claimable(scene.database) == 1
    assert len(await scene.planned()) == 3


async def test_delivery_that_was_planned_before_is_not_attempted_again_and_its_place_is_free(scene: Scene) -> None:
    places = Places(2)
    scene.intake = replace(scene.intake, hands=places.hands)
    records = [record(asked("a", Webhook(url=HOOK))), record(done("a"), 1)]
    await scene.intake.take(records)
    async with scene.database.write() as connection:
        await connection.execute(tables.jobs.delete())
    await scene.intake.take(records)
    assert (places.began, places.free) == (["upscale.completed"], 1)


async def test_places_are_free_again_when_nothing_could_be_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StateUnavailable("away")

    places = Places(2)
    scene.intake = replace(scene.intake, hands=places.hands)
    monkeypatch.setattr("pipeline.state.offsets.advance", away)
    with pytest.raises(StateUnavailable):
        await scene.intake.take([record(asked("a", Webhook(url=HOOK))), record(done("a"), 1)])
    assert (places.began, places.free) == ([], 2)
    assert await scene.planned() == []


async def test_nothing_reads_a_whole_table(scene: Scene) -> None:
    """What a batch of records, a round of progress calls and a batch of attempts cost does not grow with history."""
    async with scene.database.write() as connection:
        await endpoints.register(connection, NewEndpoint("default", "https://own.example.com/hook"), NOW)
    seen: list[tuple[str, Any]] = []
    engine = scene.database.engine.sync_engine
    follow = Webhook(url=HOOK, mode=WebhookMode.SYNC)
    with listening(engine, "before_cursor_execute", lambda *given: seen.append((given[2], given[3]))):
        await scene.intake.take([record(asked(f"j{number}", follow), number) for number in range(3)])
        await scene.intake.take([record(done(f"j{number}"), 3 + number) for number in range(2)])
        await Teller(scene.database, POLICY, lambda: None, lambda: NOW + 200).turn()
        await recorded(scene.database, [attempt(one) for one in await claimed(scene.database, now=NOW + 201)])
    lines = await explained(scene.database, seen)
    assert any("SEARCH jobs" in line for line in lines)
    assert [line for line in lines if re.match(r"SCAN (jobs|deliveries|attempts)\b", line)] == []


@contextmanager
def listening(target: object, name: str, hear: Callable[..., object]) -> Iterator[None]:
    event.listen(target, name, hear)
    try:
        yield
    finally:
        event.remove(target, name, hear)


async def explained(database: Database, statements: Sequence[tuple[str, Any]]) -> list[str]:
    """The plans of those statements that have one."""
    lines = list[str]()
    async with database.write() as connection:
        for sql, values in statements:
            if sql.lstrip().startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
                one = values[0] if isinstance(values, list) else values
                lines += [str(row[-1]) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", one)]
    return lines
