"""Endpoints and their keys: the actions of `upscale webhooks` on who is called. Each returns what is printed."""

import argparse
from collections.abc import Sequence

import orjson

from pipeline.dispatcher.deliver import url_policy
from pipeline.dispatcher.sign import shown
from pipeline.state import endpoints, signing_keys
from pipeline.state.database import Connection
from pipeline.state.records import KeyKind
from pipeline.state.signing_keys import Owner, owner_of
from pipeline.tools import choice, webhook_choice, webhook_desk, webhook_lines
from pipeline.tools.webhook_desk import Desk

LISTED = 1000
"""Endpoints at a time, unless --limit says otherwise."""
OWNER = "owner"
"""Why an endpoint is disabled that nobody's failures have."""


async def add(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Register an endpoint. Raises `PipelineError` for what may not be registered."""
    wanted = webhook_choice.new_endpoint(arguments, url_policy(desk.settings))
    async with desk.database.write() as connection:
        made = await endpoints.register(connection, wanted, desk.now)
        keys = await signing_keys.keys_of_owners(connection, {owner_of(made)}, desk.now)
    return [f"endpoint  {made.id}", *(f"secret    {shown(key)}" for key in keys[owner_of(made)])]


async def listing(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """The endpoints that are asked for, newest first, and whether there are more."""
    most = choice.limit(arguments) or LISTED
    async with desk.database.read() as connection:
        found = await endpoints.listed(connection, arguments.tenant, most + 1, disabled=arguments.disabled)
    newest = found[:most]
    if arguments.json:
        return [orjson.dumps(webhook_lines.endpoint_document(one, desk.now)).decode() for one in newest]
    if not found:
        return ["no endpoints"]
    more = [f"the newest {most}; there are more, which --limit shows"] if len(found) > most else []
    return [*webhook_lines.endpoint_listing(newest, desk.now), *more]


async def secret(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """What receivers verify with. The first key is made for who has none. Raises `PipelineError` for no endpoint."""
    async with desk.database.write() as connection:
        return await _keys(connection, await _owner(connection, arguments), desk.now)


async def rotate(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """A new key, and all that sign from now on. Raises `PipelineError` for no endpoint."""
    async with desk.database.write() as connection:
        owner = await _owner(connection, arguments)
        await signing_keys.rotate(
            connection,
            owner,
            desk.now,
            kind=KeyKind.ED25519 if arguments.ed25519 else KeyKind.HMAC,
            rotation_seconds=0.0 if arguments.at_once else desk.settings.rotation_seconds,
        )
        return await _keys(connection, owner, desk.now)


async def enable(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Call an endpoint again. Raises `PipelineError` for no endpoint."""
    async with desk.database.write() as connection:
        before = await webhook_desk.endpoint(connection, arguments.endpoint)
        await endpoints.enable(connection, before.id)
    if before.disabled_at is None:
        return [f"{before.id} was not disabled; its failures are forgotten"]
    since = webhook_lines.time(before.health.failing_since or before.disabled_at)
    missed = f"`upscale webhooks recover {before.id} --since {since}` sends what it has not got since"
    return [f"{before.id} is called again; {missed}"]


async def disable(arguments: argparse.Namespace, desk: Desk) -> Sequence[str]:
    """Call an endpoint no more. Raises `PipelineError` for no endpoint."""
    async with desk.database.write() as connection:
        before = await webhook_desk.endpoint(connection, arguments.endpoint)
        await endpoints.disable(connection, before.id, OWNER, desk.now)
    if before.disabled_at is not None:
        return [f"{before.id} was already {webhook_lines.standing(before, desk.now)}"]
    return [f"{before.id} is not called until `upscale webhooks enable {before.id}`"]


async def _owner(connection: Connection, arguments: argparse.Namespace) -> Owner:
    if arguments.tenant is not None:
        return (webhook_choice.tenant(arguments.tenant), None)
    return owner_of(await webhook_desk.endpoint(connection, arguments.endpoint))


async def _keys(connection: Connection, owner: Owner, now: float) -> Sequence[str]:
    keys = await signing_keys.keys_of_owners(connection, {owner}, now)
    return webhook_lines.key_listing(keys[owner])
