"""The codec reads three modes, names what it refuses, and never conflates two jobs."""

from datetime import datetime, timedelta, timezone

import orjson
import pytest

from schemas.codec import MAX_EVENT_BYTES, InvalidRequest, UndecodableEvent, decode, decode_only, encode
from schemas.events import CancelRequested, Event, UpscaleRequested, UpscaleStarted, event_from
from schemas.examples import EXAMPLES
from schemas.failures import FailureCode
from schemas.options import FaceOptions, UpscaleOptions

ORIGIN = "upscale.requests.bulk/3/1042"
BINARY = {
    "ce_specversion": b"1.0",
    "ce_id": b"1234-1234-1234",
    "ce_source": b"/mycontext/subcontext",
    "ce_type": b"io.upscale.requested.v1",
    "ce_time": b"2018-04-05T03:56:24Z",
}
STRUCTURED = {
    "specversion": "1.0",
    "type": "io.upscale.requested.v1",
    "source": "/mycontext/subcontext",
    "id": "1234-1234-1234",
    "time": "2018-04-05T03:56:24Z",
    "data": {"source": "https://pictures.example/a.png"},
}
"""Attribute values as in the examples of the CloudEvents Kafka protocol binding 1.0.2, sections 3.2.5 and 3.3.4."""


def _binary(changes: dict[str, bytes | None]) -> list[tuple[str, bytes | None]]:
    return list({**BINARY, **changes}.items())


def _written(event: Event) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    message = encode(event)
    return message.value, message.headers


def _refused(value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> UndecodableEvent:
    with pytest.raises(UndecodableEvent) as refusal:
        decode(value, headers or [], origin=ORIGIN)
    return refusal.value


def _invalid(document: dict[str, object]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        decode(orjson.dumps({"job_id": "a", "source": "s3://b/k", **document}), [], origin=ORIGIN)
    return refusal.value


def test_codec_reads_the_bindings_binary_example() -> None:
    """Section 3.2.5: attributes from `ce_` headers, data from the value."""
    event = decode(b'{"source": "https://pictures.example/a.png"}', _binary({}), origin=ORIGIN)
    assert (event.id, event.source, event.type) == ("1234-1234-1234", "/mycontext/subcontext", UpscaleRequested.type)
    assert event.time is not None
    assert event.time.isoformat() == "2018-04-05T03:56:24+00:00"


@pytest.mark.parametrize(
    "content_type",
    [b"application/cloudevents+json; charset=UTF-8", b"Application/CloudEvents+JSON", b"application/cloudevents", None],
)
def test_codec_reads_the_bindings_structured_example(content_type: bytes | None) -> None:
    """Section 3.3.4, matched without regard to case; a bare document with `specversion` is one too."""
    event = decode(orjson.dumps(STRUCTURED), [("content-type", content_type)], origin=ORIGIN)
    assert (event.id, event.source, event.type) == ("1234-1234-1234", "/mycontext/subcontext", UpscaleRequested.type)


def test_codec_takes_the_content_type_over_headers_that_structured_mode_may_repeat() -> None:
    """Section 3.3.3 allows `ce_` headers beside a structured value; the value then holds the envelope."""
    headers = [("content-type", b"application/cloudevents+json"), *_binary({"ce_id": b"other"})]
    assert decode(orjson.dumps(STRUCTURED), headers, origin=ORIGIN).id == "1234-1234-1234"


def test_codec_gives_both_modes_the_same_job() -> None:
    """Equal `source` and `id` are the same event, so they are the same job."""
    binary = decode(orjson.dumps(STRUCTURED["data"]), _binary({}), origin="a/0/1")
    assert decode(orjson.dumps(STRUCTURED), [], origin="b/0/2") == binary


def test_codec_derives_the_same_job_for_ever() -> None:
    """Pinned: a release that derives otherwise would run jobs again that were done before it."""
    assert (
        decode(orjson.dumps(STRUCTURED), [], origin=ORIGIN).data.job_id,
        decode(b'{"source": "s3://b/k"}', [], origin=ORIGIN).data.job_id,
    ) == ("70547d9f-7051-595a-8508-1e552eaac6c0", "e1c11dad-e21f-5e3b-81ed-cca57ec033e9")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("/a", "b\nc"), ("/a\nb", "c")),
        (("bare", "x"), ("bare", "y")),
    ],
)
def test_codec_never_derives_one_job_from_two_events(first: tuple[str, str], second: tuple[str, str]) -> None:
    """Where source ends and id begins is part of what is hashed."""
    jobs = {
        decode(orjson.dumps({**STRUCTURED, "source": source, "id": name}), [], origin=ORIGIN).data.job_id
        for source, name in (first, second)
    }
    assert len(jobs) == 2


def test_codec_gives_bare_requests_of_two_records_two_jobs_and_of_one_record_one() -> None:
    """A redelivery is the same job; the next record is another."""
    jobs = [decode(b'{"source": "s3://b/k"}', [], origin=origin).data.job_id for origin in ("t/0/1", "t/0/1", "t/0/2")]
    assert jobs[0] == jobs[1] != jobs[2]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"x" * (MAX_EVENT_BYTES + 1), "too_large"),
        (b"{", "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        (b"[1]", "malformed_json"),
        (b'{"source": NaN}', "malformed_json"),
        (b'{"source": Infinity}', "malformed_json"),
        (b'{"source": "\\ud800"}', "malformed_json"),
        (b'{"x": ' + b"9" * 400 + b"]", "malformed_json"),
        (b'{"x": 1e400, "source": "\\ud800"}', "malformed_json"),
        (b'{"x": 1e400, "y": NaN}', "malformed_json"),
        (b'{"x": 1e400, "y": ' + b"[" * 2000 + b"]" * 2000 + b"}", "malformed_json"),
        (b'{"x": ' + b"[" * 2000 + b"]" * 2000 + b"}", "malformed_json"),
        (b'{"job_id": "a/b", "source": "s3://b/k"}', "invalid_payload"),
        (b'{"job_id": "a", "tenant": "../b", "source": "s3://b/k"}', "invalid_payload"),
        (b'{"specversion": "1.0"}', "missing_attribute"),
        (orjson.dumps({**STRUCTURED, "data": "text"}), "missing_attribute"),
        (orjson.dumps({**STRUCTURED, "id": 7}), "missing_attribute"),
        (orjson.dumps({**STRUCTURED, "source": ""}), "missing_attribute"),
        (orjson.dumps({**STRUCTURED, "specversion": "1.1"}), "unsupported_version"),
        (orjson.dumps({**STRUCTURED, "type": "io.upscale.requested.v2"}), "unsupported_version"),
        (orjson.dumps({**STRUCTURED, "type": "com.example.someevent"}), "unknown_type"),
        (orjson.dumps({**STRUCTURED, "type": "io.upscale.dreamt.v1"}), "unknown_type"),
        (orjson.dumps({**STRUCTURED, "type": "io.upscale.started.v1"}), "invalid_payload"),
        (
            orjson.dumps({**STRUCTURED, "type": "io.upscale.started.v1", "data": {"job_id": "a"}, "time": "soon"}),
            "invalid_attributes",
        ),
    ],
)
def test_codec_refuses_with_a_stable_reason(value: bytes | None, reason: str) -> None:
    """The reason is a header of the dead letter; operators count by it."""
    assert _refused(value).reason == reason


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        ({"ce_id": b"\xff"}, "invalid_attributes", "id"),
        ({"ce_source": None}, "missing_attribute", "source"),
        ({"ce_specversion": None}, "missing_attribute", "specversion"),
        ({"ce_specversion": b"0.3"}, "unsupported_version", "specversion"),
        ({"content-type": b"application/cloudevents+avro"}, "unsupported_format", "content-type"),
        ({"content-type": b"application/cloudevents-batch+json"}, "unsupported_format", "content-type"),
    ],
)
def test_codec_refuses_headers_by_name(changes: dict[str, bytes | None], reason: str, named: str) -> None:
    """Header bytes that are no text are refused, not replaced: replacing would let two ids become one."""
    refusal = _refused(b'{"source": "s3://b/k"}', _binary(changes))
    assert (refusal.reason, str(refusal).split(":")[0]) == (reason, named)


def test_codec_ignores_headers_it_does_not_read() -> None:
    """Foreign headers may hold anything."""
    headers = [*_binary({}), ("ce_extension", b"\xff"), ("traceparent", None), ("\udcff", b"")]
    assert decode(b'{"source": "s3://b/k"}', headers, origin=ORIGIN).id == "1234-1234-1234"


def test_codec_counts_the_last_of_repeated_names() -> None:
    """JSON leaves it open; here it is written down."""
    event = decode(b'{"source": "s3://b/1", "source": "s3://b/2"}', [], origin=ORIGIN)
    assert isinstance(event.data, UpscaleRequested)
    assert event.data.source == "s3://b/2"


@pytest.mark.parametrize(
    ("document", "field", "told"),
    [
        ({"source": ""}, "source", "must have at least 1 character, got ''"),
        ({"source": "s" * 9000}, "source", "must have at most 8192 characters, got 9000 characters"),
        ({"source": [1, 2]}, "source", "must be text, got an array of 2"),
        ({"options": {"sclae": 4}}, "options.sclae", "is not a known field"),
        ({"options": {"scale": 11}}, "options.scale", "must be less than or equal to 10, got 11"),
        ({"options": {"scale": True}}, "options.scale", "must be a number, got true"),
        ({"options": {"scale": {}}}, "options.scale", "must be a number, got an object"),
        ({"options": {"scale": "2"}}, "options.scale", "must be a number, got '2'"),
        ({"options": {"width": 32.5}}, "options.width", "must be a whole number, got 32.5"),
        ({"options": {"face_enhance": "false"}}, "options.face_enhance", "must be true or false, got 'false'"),
        ({"options": {"face_enhance": 0}}, "options.face_enhance", "must be true or false, got 0"),
        ({"options": 4}, "options", "must be an object, got 4"),
        ({"labels": ["a"]}, "labels", "must be an object, got an array of 1"),
        ({"labels": {str(n): "" for n in range(17)}}, "labels", "must have at most 16 entries, got 17"),
        (
            {"webhook": {"url": "https://a.example", "events": []}},
            "webhook.events",
            "must have at least 1 entry, got none",
        ),
        ({"webhook": {"url": "https://a.example", "events": "x"}}, "webhook.events", "must be an array, got 'x'"),
        (
            {"options": {"tile_size": 64, "tile_pad": 32}},
            "options",
            "tile_pad: must be under half of tile_size (64), got 32: no core is left",
        ),
        ({"labels": {"a": 3}}, "labels.a", "must be text, got 3"),
        ({"deadline": "2030-01-31"}, "deadline", None),
        ({"deadline": "2030-01-31T12:00:00"}, "deadline", "must have timezone info, got '2030-01-31T12:00:00'"),
        (
            {"deadline": 1700000000},
            "deadline",
            "must be an RFC 3339 time such as '2030-01-31T12:00:00Z', got 1700000000",
        ),
        (
            {"deadline": "0001-01-01T00:00:00+14:00"},
            "deadline",
            "must lie between the years 1970 and 9999 in UTC, got '0001-01-01T00:00:00+14:00'",
        ),
    ],
)
def test_codec_tells_the_sender_field_limit_and_value(
    document: dict[str, object], field: str, told: str | None
) -> None:
    """Whoever named a job is answered in words that say what to change."""
    refusal = _invalid(document)
    assert refusal.field == field
    if told is not None:
        assert str(refusal) == f"{field}: {told}"


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 400])
def test_codec_tells_the_sender_of_a_number_beyond_all_limits(number: bytes) -> None:
    """It is JSON, and the job is known; as a dead letter its sender would wait for ever."""
    value = b'{"job_id": "a", "source": "s3://b/k", "options": {"scale": ' + number + b"}}"
    with pytest.raises(InvalidRequest, match=r"options\.scale: must be a finite number, got a number too"):
        decode(value, [], origin=ORIGIN)


def test_codec_takes_a_number_beyond_all_limits_where_it_reads_none() -> None:
    """Unknown fields may hold anything, and one does not change how the others are read."""
    huge = b'{"source": "s3://b/k", "options": {"width": 320, "scale": null}, "x": [1e400, 12345678901234567890]}'
    event = decode(huge, [], origin=ORIGIN)
    assert isinstance(event.data, UpscaleRequested)
    assert event.data.options.width == 320


NULLS = {
    "job_id": None,
    "tenant": None,
    "deadline": None,
    "labels": None,
    "webhook": {"url": "https://hooks.example", "mode": None, "events": None, "payload": None},
    "options": dict.fromkeys(UpscaleOptions.model_fields) | {"faces": dict.fromkeys(FaceOptions.model_fields)},
}


def test_codec_takes_null_for_absent_wherever_there_is_a_default() -> None:
    """Clients in Java and Go write nulls for what nobody has set."""
    plain = decode(b'{"source": "s3://b/k", "webhook": {"url": "https://hooks.example"}}', [], origin=ORIGIN)
    assert decode(orjson.dumps({"source": "s3://b/k", **NULLS}), [], origin=ORIGIN) == plain
    assert _invalid({"source": None}).field == "source"
    assert _invalid({"options": {"sclae": None}}).field == "options.sclae"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
        ("2016-12-31T23:59:60.5+01:00", "2016-12-31T23:59:59.500000+01:00"),
    ],
)
def test_codec_reads_the_times_that_others_write_at_the_rims(written: str, read: str) -> None:
    """The last second that can be written means "for ever"; a leap second is the one before it to us."""
    event = decode(orjson.dumps({"source": "s3://b/k", "deadline": written}), [], origin=ORIGIN)
    assert isinstance(event.data, UpscaleRequested)
    assert event.data.deadline == datetime.fromisoformat(read)
    assert decode(*_written(event), origin=ORIGIN) == event


def test_codec_judges_the_type_before_the_payload_on_a_topic_for_one_type() -> None:
    """What does not belong there is told as such, whatever it lacks."""
    document = orjson.dumps({**STRUCTURED, "type": "io.upscale.completed.v1", "data": {}})
    with pytest.raises(UndecodableEvent) as refusal:
        decode_only(UpscaleRequested, document, [], origin=ORIGIN)
    assert refusal.value.reason == "unexpected_type"


def test_codec_takes_bare_json_for_what_its_topic_is_for() -> None:
    """A cancellation of two fields needs no library either."""
    bare = b'{"job_id": "a", "tenant": "t"}'
    assert decode_only(CancelRequested, bare, [], origin=ORIGIN) == CancelRequested(job_id="a", tenant="t")
    with pytest.raises(UndecodableEvent, match="job_id: is required"):
        decode_only(CancelRequested, b"{}", [], origin=ORIGIN)


def test_codec_survives_a_deeply_nested_value_in_a_refused_field() -> None:
    """Describing a value must not walk into it: a thousand brackets would exhaust the stack."""
    value = b'{"job_id": "a", "source": ' + b"[" * 1000 + b"]" * 1000 + b"}"
    with pytest.raises(InvalidRequest, match="source: must be text, got an array of 1"):
        decode(value, [], origin=ORIGIN)


def test_codec_cuts_a_field_name_that_is_itself_the_attack() -> None:
    """What we say about a request is never much longer than the request's own limits."""
    assert len(str(_invalid({"options": {"x" * 200_000: 1}}))) < 200


def test_codec_names_the_job_of_an_invalid_request_without_its_invalid_parts() -> None:
    """Labels come back when they hold; the rest is default and never executed."""
    refusal = _invalid({"tenant": "t", "labels": {"k": "v"}, "options": {"scale": 0}})
    assert refusal.request == UpscaleRequested(job_id="a", tenant="t", labels={"k": "v"}, source="unknown")
    assert _invalid({"labels": 7}).request == UpscaleRequested(job_id="a", source="unknown")


def test_codec_tells_the_sender_of_a_bad_attribute_when_the_job_is_known() -> None:
    """An unreadable `time` is the sender's to mend, not a dead letter."""
    with pytest.raises(InvalidRequest) as refusal:
        decode(b'{"job_id": "a", "source": "s3://b/k"}', _binary({"ce_time": b"yesterday"}), origin=ORIGIN)
    assert (refusal.value.field, refusal.value.request.job_id) == ("time", "a")


@pytest.mark.parametrize(
    ("document", "code"),
    [({"options": {"scale": 0}}, FailureCode.INVALID_OPTIONS), ({"source": ""}, FailureCode.INVALID_REQUEST)],
)
def test_codec_tells_options_from_the_rest(document: dict[str, object], code: FailureCode) -> None:
    """The two have codes of their own in the failure event."""
    assert _invalid(document).code is code


def test_codec_writes_key_and_headers_as_the_binding_says() -> None:
    """Binary mode; the key is the `partitionkey`, which stays in the event."""
    message = encode(EXAMPLES[UpscaleStarted.type])
    job = b"0197a3c2-7d1e-7c44-9a55-3f2b8e6d1c07"
    assert message.key == job
    assert dict(message.headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": dict(message.headers)["ce_id"],
        "ce_source": b"/upscale/eu-1",
        "ce_type": b"io.upscale.started.v1",
        "ce_subject": job,
        "ce_partitionkey": job,
        "ce_time": b"2026-01-31T12:00:03Z",
    }


def test_codec_writes_times_in_utc() -> None:
    """One zone on the wire, whatever the writer's clock was set to."""
    time = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    message = encode(event_from(UpscaleStarted(job_id="a"), source="/x", time=time))
    assert dict(message.headers)["ce_time"] == b"2026-01-31T12:00:00Z"


def test_codec_leaves_the_time_out_when_there_is_none() -> None:
    """A bare request has none; passing it on must not invent one."""
    event = decode(b'{"source": "s3://b/k"}', [], origin=ORIGIN)
    assert "ce_time" not in dict(encode(event).headers)
