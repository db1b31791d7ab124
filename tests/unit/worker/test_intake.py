"""Guarantees of pipeline.worker.intake: every record has a place to go, and says why it goes there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from uuid import UUID

import orjson
import pytest

from pipeline.gpu.models.catalog import Catalogue
from pipeline.kafka.retry import with_origin
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.sources import SourcePolicy
from pipeline.worker.intake import Clocks, Job, Refused, Undecodable, accept
from schemas import codec
from schemas.events import UpscaleRequested, UpscaleStarted, event_from
from schemas.failures import FailureCode
from schemas.options import DEFAULT_FACE_MODEL, DEFAULT_MODEL
from schemas.topics import Lane
from tests.support.requests import make_received

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MONOTONIC = 5000.0
CLOCKS = Clocks(wall=lambda: NOW, monotonic=lambda: MONOTONIC)
SOURCES = SourcePolicy.of(StoreSettings(bucket="ours", source_buckets=("shared",)), FetchSettings())
PLAIN = {"job_id": "cat-1", "tenant": "zoo", "source": "https://example.com/cat.jpg", "labels": {"album": "7"}}


def accepted(body: Mapping[str, object] | bytes | None, **record: object) -> Job | Refused | Undecodable:
    value = body if body is None or isinstance(body, bytes) else orjson.dumps(dict(body))
    return accept(make_received(value=value, **record), CLOCKS, SOURCES, Catalogue())


def job(body: Mapping[str, object], **record: object) -> Job:
    found = accepted(body, **record)
    assert isinstance(found, Job)
    return found


def refused(**fields: object) -> Refused:
    found = accepted({**PLAIN, **fields})
    assert isinstance(found, Refused)
    return found


def undecodable(body: Mapping[str, object] | bytes | None, **record: object) -> Undecodable:
    found = accepted(body, **record)
    assert isinstance(found, Undecodable)
    return found


def enveloped(**attributes: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": UpscaleRequested.type, "data": PLAIN} | attributes


def test_request_becomes_a_job_of_its_lane_with_its_place_in_the_stream() -> None:
    """Nothing of the request is lost on the way, and the network is found under its exact name."""
    found = job(PLAIN, lane=Lane.BULK, offset=7)
    assert (found.request.job_id, found.request.tenant, found.request.labels) == ("cat-1", "zoo", {"album": "7"})
    assert (found.lane, found.position.offset) == (Lane.BULK, 7)
    assert (found.source.scheme, found.source.url) == ("https", "https://example.com/cat.jpg")
    assert found.model.name == DEFAULT_MODEL
    assert (found.started, found.deadline) == (MONOTONIC, None)


@pytest.mark.parametrize("model", ["RealESRGAN_x4plus", "realesrgan-x4plus", "default"])
def test_every_spelling_of_a_model_is_the_same_model(model: str) -> None:
    """Callers of other services bring their own spellings; the batcher must see one."""
    assert job({**PLAIN, "options": {"model": model}}).model.name == "realesrgan-x4plus"


def test_denoising_strength_of_a_model_without_the_choice_is_refused() -> None:
    """At the door, by the field's name, before anything is fetched."""
    error = refused(options={"denoise_strength": 0.5}).error
    assert (error.code, error.details["field"]) == (FailureCode.INVALID_OPTIONS, "options.denoise_strength")


@pytest.mark.parametrize("seconds", [90.0, 0.0, -3600.0])
def test_deadline_is_the_requests_however_long_it_lay_in_the_stream(seconds: float) -> None:
    """It counts from the caller's clock, not from intake: what waited an hour has an hour less."""
    deadline = (NOW + timedelta(seconds=seconds)).isoformat()
    assert job({**PLAIN, "deadline": deadline}).deadline == MONOTONIC + seconds


def test_deadline_in_another_zone_is_the_same_moment() -> None:
    """A caller's zone is no extra time."""
    assert job({**PLAIN, "deadline": "2026-01-01T14:01:00+02:00"}).deadline == MONOTONIC + 60


def test_bare_request_without_a_name_is_the_same_job_when_it_is_handed_out_again() -> None:
    """Its name follows from where it lies, so a redelivery repeats no event and stores no second object."""
    body = {"source": "https://example.com/cat.jpg"}
    names = [job(body, offset=7, epoch=epoch).request.job_id for epoch in (1, 2)]
    assert names[0] == names[1] != job(body, offset=8).request.job_id
    assert UUID(names[0])


def test_bare_request_without_a_name_is_the_same_job_when_it_was_handed_on_or_played_again() -> None:
    """It lies elsewhere then, and says where it lay first."""
    body = {"source": "https://example.com/cat.jpg"}
    first = job(body, offset=7)
    moved = with_origin((), first.position.origin)
    assert job(body, offset=99, headers=moved).request.job_id == first.request.job_id


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(None, "empty", id="no value"),
        pytest.param(b"", "empty", id="empty value"),
        pytest.param(b"\xff\xd8\xff", "malformed_json", id="a picture instead of a reference"),
        pytest.param(b"[1]", "malformed_json", id="not an object"),
        pytest.param(b'{"a":"' + b"x" * codec.MAX_EVENT_BYTES + b'"}', "too_large", id="too large"),
        pytest.param({**PLAIN, "job_id": "has spaces"}, "invalid_payload", id="a job id that is none"),
        pytest.param({**PLAIN, "tenant": "../other"}, "invalid_payload", id="a tenant that is none"),
        pytest.param(enveloped(type="com.example.other"), "unknown_type", id="somebody else's event"),
        pytest.param(enveloped(type="io.upscale.requested.v2"), "unsupported_version", id="a later version"),
        pytest.param(enveloped(specversion="0.3"), "unsupported_version", id="an older CloudEvents"),
        pytest.param(enveloped(id=""), "missing_attribute", id="an envelope without an id"),
    ],
)
def test_record_that_no_job_can_be_tied_to_is_parked_with_its_reason(
    body: Mapping[str, object] | bytes | None, reason: str
) -> None:
    """A word to count by and a sentence to act on; nobody else could be told."""
    found = undecodable(body)
    assert found.reason == reason
    assert found.detail


class Broken(Catalogue):
    """Stands for a bug of our own."""

    def find(self, *_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError


def test_request_that_our_own_code_stumbles_over_is_refused_as_an_internal_error() -> None:
    """Its job is known, so its sender is told."""
    found = accept(make_received(value=orjson.dumps(PLAIN)), CLOCKS, SOURCES, Broken())
    assert isinstance(found, Refused)
    assert (found.request.job_id, found.error.code) == ("cat-1", FailureCode.INTERNAL)
    assert "division" not in found.error.message


def test_record_that_our_own_code_cannot_read_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not end this worker, and then the next."""

    def broken(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(codec, "decode_only", broken)
    assert undecodable(PLAIN).reason == "not_understood"


def test_event_of_ours_is_known_for_one_by_its_type_whatever_it_lacks() -> None:
    """A sentence about a field of it would send its sender in the wrong direction."""
    assert undecodable(enveloped(type="io.upscale.completed.v1")).reason == "unexpected_type"


def test_event_of_ours_on_a_request_topic_is_parked() -> None:
    """A topic that was mixed up is noticed, and no event is answered with an event."""
    message = codec.encode(event_from(UpscaleStarted(job_id="cat-1"), source="/s", time=NOW))
    found = undecodable(message.value, headers=message.headers)
    assert (found.reason, found.detail) == (
        "unexpected_type",
        f"type: must be {UpscaleRequested.type} here, got {UpscaleStarted.type}",
    )


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"options": {"scale": 11}}, FailureCode.INVALID_OPTIONS, "options.scale"),
        ({"options": {"scale": "wide"}}, FailureCode.INVALID_OPTIONS, "options.scale"),
        ({"options": {"quality": 0}}, FailureCode.INVALID_OPTIONS, "options.quality"),
        ({"options": {"output_format": "gif"}}, FailureCode.INVALID_OPTIONS, "options.output_format"),
        ({"options": {"tile_size": 1}}, FailureCode.INVALID_OPTIONS, "options.tile_size"),
        ({"source": ""}, FailureCode.INVALID_REQUEST, "source"),
        ({"source": None}, FailureCode.INVALID_REQUEST, "source"),
        ({"deadline": "2026-01-01T12:00:00"}, FailureCode.INVALID_REQUEST, "deadline"),
        ({"deadline": 1767268800}, FailureCode.INVALID_REQUEST, "deadline"),
        ({"labels": {"a": "x" * 257}}, FailureCode.INVALID_REQUEST, "labels.a"),
    ],
)
def test_request_that_breaks_a_rule_is_answered_with_code_and_field(
    fields: dict[str, object], code: FailureCode, field: str
) -> None:
    """Its sender can be told, so it is told what to change; the job keeps its name and tenant."""
    found = refused(**fields)
    assert (found.error.code, found.error.details["field"]) == (code, field)
    assert (found.request.job_id, found.request.tenant) == ("cat-1", "zoo")
    assert found.error.message.startswith(field)


def test_request_for_faces_names_the_network_that_restores_them() -> None:
    """Under its exact name; without the wish for faces it is not even looked up."""
    found = job({**PLAIN, "options": {"face_enhance": True, "faces": {"model": "GFPGAN_v1.4"}}})
    assert found.restorer is not None
    assert found.restorer.name == DEFAULT_FACE_MODEL
    assert job({**PLAIN, "options": {"faces": {"model": "nobody"}}}).restorer is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"face_enhance": True, "faces": {"model": "realesrgan-x4plus"}}, "faces.model"),
        ({"face_enhance": True, "faces": {"model": "parsenet"}}, "faces.model"),
        ({"model": "gfpgan-v1.4"}, "model"),
    ],
)
def test_network_of_another_trade_is_not_found(options: dict[str, object], field: str) -> None:
    """One that restores faces cannot upscale, nor the other way round; the answer lists those that can."""
    found = refused(options=options)
    assert found.error.code is FailureCode.MODEL_NOT_FOUND
    assert found.error.details["field"] == field
    assert ("gfpgan-v1.3" in found.error.message) == (field == "faces.model")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("ftp://example.com/cat.jpg", FailureCode.URL_SCHEME_NOT_ALLOWED),
        ("http://example.com/cat.jpg", FailureCode.URL_SCHEME_NOT_ALLOWED),
        ("https://127.0.0.1/cat.jpg", FailureCode.URL_BLOCKED),
        ("https://[::1]/cat.jpg", FailureCode.URL_BLOCKED),
        ("https://[]@", FailureCode.URL_BLOCKED),
        ("s3://theirs/cat.jpg", FailureCode.URL_BLOCKED),
        ("s3://ours/uploads/farm/cat.jpg", FailureCode.URL_BLOCKED),
        ("upload:../farm/cat.jpg", FailureCode.URL_BLOCKED),
    ],
)
def test_source_that_may_not_be_read_is_refused_before_anything_is_contacted(source: str, code: FailureCode) -> None:
    """Judged on the text alone; the answer names the field and not where the source might have led."""
    found = refused(source=source)
    assert found.error.code is code
    assert found.error.message.startswith("source: ")
    assert "127.0.0.1" not in found.error.message


def test_unknown_model_is_refused_by_name() -> None:
    """The caller hears which it asked for."""
    found = refused(options={"model": "esrgan-of-tomorrow"})
    assert found.error.code is FailureCode.MODEL_NOT_FOUND
    assert "esrgan-of-tomorrow" in found.error.message


def test_model_that_does_something_else_than_upscale_is_refused_as_unknown() -> None:
    """A restorer of faces has a scale of 1 and takes faces: as an upscaler it would give nonsense."""
    found = refused(options={"model": "gfpgan"})
    assert found.error.code is FailureCode.MODEL_NOT_FOUND


def test_model_that_the_operator_disabled_is_refused() -> None:
    """The deployment's catalogue is asked, and not the list of all there are."""
    record = make_received(value=orjson.dumps(PLAIN | {"options": {"model": "x4plus"}}))
    found = accept(record, CLOCKS, SOURCES, Catalogue(disabled=frozenset({"realesrgan-x4plus"})))
    assert isinstance(found, Refused)
    assert found.error.code is FailureCode.MODEL_NOT_AVAILABLE


@pytest.mark.parametrize("tenant", ["zoo", "farm"])
@pytest.mark.parametrize(
    ("source", "bucket", "key"),
    [
        ("s3://shared/cat.jpg", "shared", "cat.jpg"),
        ("s3://ours/uploads/{tenant}/cat.jpg", "ours", "uploads/{tenant}/cat.jpg"),
        ("upload:cat.jpg", "ours", "uploads/{tenant}/cat.jpg"),
    ],
)
def test_source_in_the_store_is_read_as_its_own_tenants(tenant: str, source: str, bucket: str, key: str) -> None:
    """Our own bucket shows a tenant its own uploads, and buckets that were opened show everybody theirs."""
    found = job({**PLAIN, "tenant": tenant, "source": source.format(tenant=tenant)}).source
    assert (found.bucket, found.key) == (bucket, key.format(tenant=tenant))


def test_refused_request_keeps_its_labels_only_when_they_are_sound() -> None:
    """The platform that correlates by them finds its job again, unless the labels are what is wrong."""
    assert refused(options={"scale": 11}).request.labels == {"album": "7"}
    assert refused(labels={"a": 1}).request.labels == {}
