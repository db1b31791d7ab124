"""Deliveries: the actions of `upscale webhooks` on what is sent. Each returns what is printed."""

import argparse
from collections.abc import Sequence
from uuid import uuid4, uuid5

import orjson

from pipeline.dispatcher.payload import body_of
from pipeline.dispatcher.plan import message_id
from pipeline.errors import PipelineError
from pipeline.state import deliveries, delivery_log, endpoints
from pipeline.state.records import Endpoint, EndpointKind, NewDelivery
from pipeline.tools import choice, webhook_choice, webhook_desk, webhook_lines
from pipeline.tools.webhook_desk import Desk
from schemas.callbacks import WebhookEvent
from schemas.events import EVENT_NAMESPACE
from schemas.webhooks import TestCall

LISTED = 100
"""Deliveries at a time, unless --limit says otherwise."""


async def log(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """What was sent, newest first. Raises `PipelineError` for no endpoint and for filters that cannot be."""
    most = choice.limit(arguments) or LISTED
    since = 0.0 if arguments.since is None else webhook_choice.since(arguments.since, desk.now)
    async with desk.database.read() as connection:
        if arguments.endpoint is not None:
            await webhook_desk.endpoint(connection, arguments.endpoint)
        found = await delivery_log.log_of(
            connection,
            tenant=arguments.tenant,
            endpoint_id=arguments.endpoint,
            job_id=arguments.job,
            since=since,
            limit=most + 1,
        )
        known = await endpoints.found(connection, {one.endpoint_id for one in found})
    newest = [(one, known[one.endpoint_id]) for one in found[:most]]
    if arguments.json:
        return [orjson.dumps(webhook_lines.delivery_document(*pair)).decode() for pair in newest]
    lines = [line for pair in newest for line in webhook_lines.delivery_lines(*pair, desk.now)]
    more = [f"the newest {most}; there are more, which --limit shows"] if len(found) > most else []
    return [*lines, *more] or ["no deliveries"]


async def resend(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Deliver once more what was delivered or given up. Raises `PipelineError` for no delivery."""
    async with desk.database.write() as connection:
        before = await webhook_desk.delivery(connection, arguments.delivery)
        endpoint = await webhook_desk.endpoint(connection, before.endpoint_id)
        await deliveries.resend(connection, before.id, desk.now)
        after = await webhook_desk.delivery(connection, before.id)
    return [f"delivery {after.id}: {webhook_lines.end(after, endpoint, desk.now)}", _look(endpoint)]


async def recover(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Deliver what an endpoint has missed. Raises `PipelineError` for no endpoint and a time that is none."""
    since = webhook_choice.since(arguments.since, desk.now)
    async with desk.database.write() as connection:
        endpoint = await webhook_desk.endpoint(connection, arguments.endpoint)
        number = await deliveries.recover(connection, endpoint.id, since, desk.now)
    told = f"{number} undelivered since {webhook_lines.time(since)}"
    if not number:
        return [told]
    return [f"{told}: {webhook_lines.waiting(desk.now, endpoint, desk.now)}", _look(endpoint)]


async def test(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Send a `webhook.test`. Raises `PipelineError` for what cannot be called."""
    async with desk.database.write() as connection:
        endpoint = await webhook_desk.endpoint(connection, arguments.endpoint)
        _check_callable(endpoint, desk.now)
        planned = _test_call(endpoint, message_id(str(uuid4())), desk.now)
        await deliveries.plan(connection, [planned])
    return [f"delivery {planned.id}: {webhook_lines.waiting(desk.now, endpoint, desk.now)}", _look(endpoint)]


def _check_callable(endpoint: Endpoint, now: float) -> None:
    if endpoint.kind is EndpointKind.REQUEST:
        whole = "it is the origin of the URLs that requests name; only registered endpoints are tested"
        raise PipelineError(f"ENDPOINT: {endpoint.id} has no address of its own: {whole}")
    if endpoint.disabled_at is not None:
        state = webhook_lines.standing(endpoint, now)
        raise PipelineError(f"ENDPOINT: {endpoint.id} is {state}; first `upscale webhooks enable {endpoint.id}`")


def _test_call(endpoint: Endpoint, message: str, now: float) -> NewDelivery:
    return NewDelivery(
        id=str(uuid5(EVENT_NAMESPACE, f"{message}/{endpoint.id}")),
        message_id=message,
        endpoint_id=endpoint.id,
        tenant=endpoint.tenant,
        job_id=None,
        event=WebhookEvent.TEST,
        url=endpoint.url,
        body=body_of(WebhookEvent.TEST, now, TestCall(), endpoint.payload),
        created_at=now,
        due_at=now,
    )


def _look(endpoint: Endpoint) -> str:
    return f"`upscale webhooks log --endpoint {endpoint.id}` shows what comes of it"
