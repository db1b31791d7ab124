"""Endpoints, keys and deliveries in words, for a person and for a program. Pure.

Bodies are never shown, nor the query of a URL, which may be a secret.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.dispatcher.sign import shown
from pipeline.state.delivery_log import LoggedAttempt, LoggedDelivery
from pipeline.state.records import DeliveryState, Endpoint, SigningKey
from pipeline.tools.letters import printable
from pipeline.tools.webhook_choice import without_query


def endpoint_listing(endpoints: Sequence[Endpoint], now: float) -> list[str]:
    """A line for each endpoint, in columns, under a line of headings."""
    rows = [(one.id, one.kind, one.tenant, without_query(one.url), standing(one, now)) for one in endpoints]
    return columns([("endpoint", "kind", "tenant", "url", "state"), *rows])


def standing(endpoint: Endpoint, now: float) -> str:
    """Whether it is called, and why not, or how it is doing."""
    health = endpoint.health
    if endpoint.disabled_at is not None:
        return f"disabled since {time(endpoint.disabled_at)}: {endpoint.disabled_reason}"
    if health.failing_since is None:
        return "ok"
    failing = f"failing since {time(health.failing_since)}, {health.failures_in_row} in a row"
    return f"held until {time(health.held_until)}, {failing}" if now < health.held_until else failing


def endpoint_document(endpoint: Endpoint, now: float) -> dict[str, Any]:
    """One endpoint for a program."""
    health = endpoint.health
    return {
        "endpoint": endpoint.id,
        "kind": endpoint.kind,
        "tenant": endpoint.tenant,
        "url": without_query(endpoint.url),
        "events": endpoint.events,
        "payload": endpoint.payload,
        "created_at": iso(endpoint.created_at),
        "state": standing(endpoint, now).split(" ", 1)[0],
        "disabled_at": iso(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": iso(health.failing_since),
        "failures_in_row": health.failures_in_row,
        "held_until": iso(health.held_until) if now < health.held_until else None,
    }


def key_listing(keys: Sequence[SigningKey]) -> list[str]:
    """A line for each key, in columns, under a line of headings; of ed25519 keys the public half."""
    rows = [
        (key.kind, time(key.created_at), "-" if key.expires_at is None else time(key.expires_at), shown(key))
        for key in keys
    ]
    return columns([("kind", "since", "until", "key"), *rows])


def delivery_lines(delivery: LoggedDelivery, endpoint: Endpoint, now: float) -> list[str]:
    """One delivery, a line for where it goes, and a line for each attempt."""
    job = f"job {delivery.job_id}" if delivery.job_id else "no job"
    where = f"{delivery.tenant}, endpoint {delivery.endpoint_id}, {without_query(delivery.url)}"
    return [
        f"{time(delivery.created_at)}  {delivery.event}  {printable(job)}  {end(delivery, endpoint, now)}",
        f"    delivery {delivery.id}, message {delivery.message_id}",
        f"    {printable(where)}",
        *(f"    {line}" for line in columns([_attempt(each) for each in delivery.attempts])),
    ]


def end(delivery: LoggedDelivery, endpoint: Endpoint, now: float) -> str:
    """How a delivery to this endpoint has ended, or when it is tried next."""
    if delivery.state is DeliveryState.ABANDONED:
        return f"given up: {delivery.reason}"
    return str(delivery.state) if delivery.due_at is None else waiting(delivery.due_at, endpoint, now)


def waiting(due_at: float, endpoint: Endpoint, now: float) -> str:
    """When a delivery to this endpoint is tried that is due then."""
    at = next_attempt(due_at, endpoint)
    if at is None:
        return "waits until its endpoint is enabled"
    return "due now" if at <= now else f"next attempt {time(at)}"


def next_attempt(due_at: float | None, endpoint: Endpoint) -> float | None:
    """When that is; None when it is not tried any more, or not before somebody enables the endpoint."""
    if due_at is None or endpoint.disabled_at is not None:
        return None
    return max(due_at, endpoint.health.held_until)


def delivery_document(delivery: LoggedDelivery, endpoint: Endpoint) -> dict[str, Any]:
    """One delivery for a program."""
    return {
        "delivery": delivery.id,
        "message": delivery.message_id,
        "endpoint": delivery.endpoint_id,
        "tenant": delivery.tenant,
        "job_id": delivery.job_id,
        "event": delivery.event,
        "url": without_query(delivery.url),
        "created_at": iso(delivery.created_at),
        "state": delivery.state,
        "reason": delivery.reason,
        "next_attempt": iso(next_attempt(delivery.due_at, endpoint)),
        "attempts": [
            {
                "number": each.number,
                "started_at": iso(each.started_at),
                "milliseconds": _milliseconds(each),
                "outcome": each.outcome,
                "status": each.status,
            }
            for each in delivery.attempts
        ],
    }


def columns(rows: Sequence[Iterable[str]]) -> list[str]:
    """The rows with their cells under one another."""
    table = [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def time(seconds: float) -> str:
    """Unix seconds for a person, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def iso(seconds: float | None) -> str | None:
    """Unix seconds for a program, UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt(made: LoggedAttempt) -> tuple[str, ...]:
    status = "-" if made.status is None else str(made.status)
    return (f"{made.number}.", time(made.started_at), status, made.outcome, f"{_milliseconds(made)} ms")


def _milliseconds(made: LoggedAttempt) -> int:
    return round(made.seconds * 1000)
