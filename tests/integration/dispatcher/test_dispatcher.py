"""The whole of `upscale dispatcher`: from what lies on the topics to what arrives at a receiver."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest
import standardwebhooks
from replicate.webhook import Webhooks, WebhookSigningSecret

from pipeline.dispatcher.sign import shown
from pipeline.kafka.follow import follow
from pipeline.settings import KafkaSettings, StateSettings
from pipeline.state import endpoints
from pipeline.state.database import open_database
from pipeline.state.endpoints import NewEndpoint
from pipeline.state.signing_keys import keys_of_owners, owner_of
from schemas import codec
from schemas.callbacks import Webhook, WebhookMode
from schemas.events import UpscaleCanceled, UpscaleStarted, WebhookEndpointDisabled, WebhookRejected
from schemas.failures import FailureCode
from schemas.topics import Topics
from schemas.webhooks import JobState, JobStatus, WebhookBody
from tests.support.dispatching import dispatching, platform, prepared, running, until_called
from tests.support.webhooks import receiver, status

pytestmark = pytest.mark.integration


def body_of(call_body: bytes) -> WebhookBody:
    return WebhookBody.model_validate_json(call_body)


async def secret_of(state: StateSettings, tenant: str) -> str:
    async with open_database(state) as database, database.write() as connection:
        owner = (tenant, None)
        return shown((await keys_of_owners(connection, {owner}, 0.0))[owner][0])


async def test_end_of_a_job_arrives_signed_as_official_clients_verify(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    """Once, with the job's labels and an address where the result can be read."""
    settings = dispatching(kafka, sqlite_state)
    await prepared(settings)
    async with receiver(status(204)) as at, running(tmp_path, settings), platform(settings) as says:
        asked = await says.ask(Webhook(url=at.url("/hook?token=1")))
        await says.complete(asked)
        await until_called(at, 1)
    [call] = at.calls
    secret = await secret_of(sqlite_state, "acme")

    standardwebhooks.Webhook(secret).verify(call.body, dict(call.headers))
    Webhooks.validate(headers=dict(call.headers), body=call.body.decode(), secret=WebhookSigningSecret(key=secret))
    told = body_of(call.body)
    assert (call.path, told.type) == ("/hook?token=1", "upscale.completed")
    assert isinstance(told.data, JobStatus)
    assert (told.data.job_id, told.data.state) == (asked.job_id, JobState.COMPLETED)
    assert told.data.result is not None
    assert told.data.result.url.startswith("http://127.0.0.1:1/upscale/results/k?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    assert topics.events.name.startswith(kafka.topic_prefix)


async def test_job_that_ends_before_its_request_is_read_is_told_of_once_it_is(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    """Requests and events lie on topics of their own, and come in any order. What is said again is told once."""
    settings = dispatching(kafka, sqlite_state)
    await prepared(settings)
    async with receiver(status(204)) as at, running(tmp_path, settings), platform(settings) as says:
        asked = await says.ask(None)
        webhook = Webhook(url=at.url())
        late = asked.model_copy(update={"job_id": "late", "webhook": webhook})
        await says.complete(late)
        await says.complete(late)
        await says.say(UpscaleStarted(job_id="late", tenant="acme"))
        await says.say(late, topics.requests["bulk"].name)  # type: ignore[index]
        await until_called(at, 1)
        last = await says.ask(webhook)
        await says.say(UpscaleCanceled(job_id=last.job_id, tenant="acme"))
        await until_called(at, 2)
    assert [body_of(call.body).data.job_id for call in at.calls] == ["late", last.job_id]  # type: ignore[union-attr]


async def test_registered_endpoint_hears_of_all_jobs_of_its_tenant_and_of_no_other(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    settings = dispatching(kafka, sqlite_state)
    await prepared(settings)
    assert topics.events.name
    async with receiver(status(204)) as at, running(tmp_path, settings), platform(settings) as says:
        async with open_database(sqlite_state) as database, database.write() as connection:
            endpoint = await endpoints.register(connection, NewEndpoint("acme", at.url()), 0.0)
            keys = await keys_of_owners(connection, {owner_of(endpoint)}, 0.0)
        other = await says.ask(None, tenant="zeta")
        ours = await says.ask(None, tenant="acme")
        for asked in (other, ours):
            await says.complete(asked)
        await until_called(at, 1)
    [call] = at.calls
    assert body_of(call.body).data.job_id == ours.job_id  # type: ignore[union-attr]
    standardwebhooks.Webhook(shown(keys[owner_of(endpoint)][0])).verify(call.body, dict(call.headers))


async def test_webhook_that_may_not_be_called_is_rejected_by_an_event_and_the_job_goes_on(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    """The requester learns the reason, never where the name leads; nothing is connected to."""
    settings = dispatching(kafka, sqlite_state, allow_http=False, allow_private_addresses=False)
    await prepared(settings)
    async with (
        receiver(status(204)) as at,
        follow(kafka, topics.events.name, from_start=True) as events,
        running(tmp_path, settings),
        platform(settings) as says,
    ):
        for url in (at.url(), "https://10.0.0.1/hook", "https://user@example.com/hook"):
            await says.ask(Webhook(url=url))
        found: list[WebhookRejected] = []
        async with asyncio.timeout(60):
            async for record in events:
                event = codec.decode(record.value, record.headers, origin=record.origin)
                assert isinstance(event.data, WebhookRejected)
                found.append(event.data)
                if len(found) == 3:
                    break
    assert Counter(each.reason for each in found) == {
        FailureCode.URL_SCHEME_NOT_ALLOWED: 1,
        FailureCode.URL_BLOCKED: 2,
    }
    assert at.calls == []


async def test_running_job_is_told_of_when_its_request_asked_for_it(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    """Then its end, in the same words as to everybody."""
    settings = dispatching(kafka, sqlite_state)
    await prepared(settings)
    assert topics.events.name
    async with receiver(status(204)) as at, running(tmp_path, settings), platform(settings) as says:
        asked = await says.ask(Webhook(url=at.url(), mode=WebhookMode.SYNC))
        await says.say(UpscaleStarted(job_id=asked.job_id, tenant="acme"))
        await until_called(at, 1)
        await says.complete(asked)
        await until_called(at, 2)
    told = [body_of(call.body) for call in at.calls]
    assert [each.type for each in told] == ["upscale.progress", "upscale.completed"]
    assert len({call.headers["webhook-id"] for call in at.calls}) == 2


async def test_endpoint_that_answers_gone_is_disabled_and_an_event_says_so(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, sqlite_state: StateSettings
) -> None:
    settings = dispatching(kafka, sqlite_state)
    await prepared(settings)
    async with (
        receiver(status(410)) as at,
        follow(kafka, topics.events.name, from_start=True) as events,
        running(tmp_path, settings),
        platform(settings) as says,
    ):
        async with open_database(sqlite_state) as database, database.write() as connection:
            endpoint = await endpoints.register(connection, NewEndpoint("acme", at.url()), 0.0)
        await says.complete(await says.ask(None))
        async with asyncio.timeout(60):
            async for record in events:
                event = codec.decode(record.value, record.headers, origin=record.origin)
                if isinstance(event.data, WebhookEndpointDisabled):
                    break
    assert (event.data.subject, event.data.tenant) == (endpoint.id, "acme")
    assert event.data.reason == "gone"  # type: ignore[attr-defined]
    assert len(at.calls) == 1


async def test_two_dispatchers_on_postgresql_deliver_everything_once(
    tmp_path: Path, kafka: KafkaSettings, topics: Topics, postgresql_state: StateSettings
) -> None:
    """Each delivery is attempted by one of them, and neither waits for the other."""
    settings = dispatching(kafka, postgresql_state)
    await prepared(settings)
    assert topics.events.name
    async with (
        receiver(status(204)) as at,
        running(tmp_path, settings),
        running(tmp_path, settings),
        platform(settings) as says,
    ):
        asked = [await says.ask(Webhook(url=at.url())) for _ in range(100)]
        for each in asked:
            await says.complete(each)
        await until_called(at, len(asked))
    told = Counter(orjson.loads(call.body)["data"]["job_id"] for call in at.calls)
    assert told == Counter(each.job_id for each in asked)
