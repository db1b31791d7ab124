"""Identities never change, and payloads hold only what JSON can carry."""

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from schemas import events
from schemas.events import (
    ALL_EVENTS,
    EVENT_TYPES,
    Event,
    EventData,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    event_from,
    event_id,
)
from schemas.examples import EXAMPLES, PAYLOADS
from schemas.options import UpscaleOptions

MODELS = [event for event in vars(events).values() if isinstance(event, type) and issubclass(event, BaseModel)]


def test_event_id_is_the_same_for_ever() -> None:
    """Pinned: consumers recognise repeats by it, across releases."""
    assert event_id("default", "job-1", "io.upscale.completed.v1") == "5d7e3aa9-869d-5294-97a4-48a74e181597"
    assert event_id("photo-desk", "job-1", "io.upscale.completed.v1") == "da10370d-2994-5cbd-8582-d5a3d9b6bd12"


def test_event_ids_differ_by_tenant_job_and_transition() -> None:
    """Two tenants may both have a job `1`: one's completion must not pass for a repeat of the other's."""
    ids = {event_id(*names) for names in (("a", "1", "x"), ("b", "1", "x"), ("a", "2", "x"), ("a", "1", "y"))}
    assert len(ids) == 4


def test_event_id_follows_the_type_unless_a_transition_is_named() -> None:
    """Progress repeats within a job, so it brings its own word."""
    time = datetime(2026, 1, 31, tzinfo=UTC)
    payload = UpscaleCanceled(job_id="a")
    plain = event_from(payload, source="/x", time=time)
    named = event_from(payload, source="/x", time=time, transition="again")
    assert plain.id == event_id("default", "a", "io.upscale.canceled.v1")
    assert named.id == event_id("default", "a", "again")


def test_event_types_are_the_same_for_ever() -> None:
    """Pinned: renaming one would lose it for everybody who listens."""
    assert sorted(EVENT_TYPES) == [
        "io.upscale.cancel-requested.v1",
        "io.upscale.canceled.v1",
        "io.upscale.completed.v1",
        "io.upscale.expired.v1",
        "io.upscale.failed.v1",
        "io.upscale.progress.v1",
        "io.upscale.requested.v1",
        "io.upscale.started.v1",
        "io.upscale.webhook-endpoint-disabled.v1",
        "io.upscale.webhook-rejected.v1",
    ]


def test_terminal_events_are_the_four_that_end_a_job() -> None:
    """A job has ended with exactly one of these."""
    ended = {event for event in ALL_EVENTS if event.terminal}
    assert ended == {UpscaleCompleted, UpscaleFailed, UpscaleCanceled, UpscaleExpired}


@pytest.mark.parametrize("model", [*MODELS, UpscaleOptions], ids=lambda model: model.__name__)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    """Generated references show the description; an empty one would be a hole in them."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.type)
def test_payloads_are_frozen(payload: EventData) -> None:
    """Nobody changes what another room still holds."""
    with pytest.raises(ValidationError, match="frozen"):
        payload.job_id = "b"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_carry_are_refused(number: float) -> None:
    """They would be written as null and be unreadable at the other end."""
    completed = EXAMPLES[UpscaleCompleted.type].data.model_dump()
    failed = EXAMPLES[UpscaleFailed.type].data.model_dump()
    failed["failure"]["details"] = {"value": number}
    with pytest.raises(ValidationError, match="processing_seconds"):
        UpscaleCompleted.model_validate({**completed, "processing_seconds": number})
    with pytest.raises(ValidationError, match="finite"):
        UpscaleFailed.model_validate(failed)


def test_envelope_takes_its_type_from_the_payload() -> None:
    """One place says what an event is."""
    assert Event(id="1", source="/x", data=UpscaleCanceled(job_id="a")).type == "io.upscale.canceled.v1"
