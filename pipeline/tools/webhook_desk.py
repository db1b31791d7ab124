"""What the actions of `upscale webhooks` work with: the database, and what is found in it or named as missing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.settings import Settings, WebhookSettings
from pipeline.state import delivery_log, endpoints, migrate
from pipeline.state.database import Connection, Database, open_database
from pipeline.state.delivery_log import LoggedDelivery
from pipeline.state.records import Endpoint


@dataclass(frozen=True, slots=True)
class Desk:
    """One call of the command."""

    database: Database
    settings: WebhookSettings
    now: float
    """Unix seconds."""


@asynccontextmanager
async def opened(config: Settings, now: float) -> AsyncIterator[Desk]:
    """The database of the settings, with the tables of this program.

    Raises `InvalidSettings`, `ServiceUnreachable`, `ServiceRefused` and `StateUnavailable`.
    """
    async with open_database(config.state) as database:
        await migrate.check(database)
        yield Desk(database, config.webhook, now)


async def endpoint(connection: Connection, endpoint_id: str) -> Endpoint:
    """The endpoint of that id. Raises `PipelineError` when there is none."""
    if (found := await endpoints.find(connection, endpoint_id)) is None:
        raise PipelineError(f"ENDPOINT: no endpoint has the id {endpoint_id!r}; `upscale webhooks list` names them")
    return found


async def delivery(connection: Connection, delivery_id: str) -> LoggedDelivery:
    """The delivery of that id. Raises `PipelineError` when there is none."""
    if (found := await delivery_log.logged(connection, delivery_id)) is None:
        raise PipelineError(f"DELIVERY: no delivery has the id {delivery_id!r}; `upscale webhooks log` names them")
    return found
