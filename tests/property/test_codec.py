"""Whatever is encoded reads back; whatever is not an event is refused with one of two exceptions."""

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import REQUIRED, STRUCTURED_JSON, InvalidRequest, UndecodableEvent, decode, encode, to_document
from schemas.events import EVENT_TYPES, Event, UpscaleRequested
from tests.support.events import EVENTS, JSON, REQUESTS, TEXT

HEADER_NAMES = st.sampled_from(["content-type", *(f"ce_{name}" for name in REQUIRED), "ce_time"]) | TEXT
HEADER_VALUES = (
    st.none()
    | st.binary(max_size=20)
    | st.sampled_from([b"1.0", STRUCTURED_JSON.encode(), *map(str.encode, EVENT_TYPES)])
)


def _only_refuses(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    with suppress(UndecodableEvent, InvalidRequest):
        decode(value, headers, origin="topic/0/7")


@given(EVENTS)
def test_codec_reads_back_what_it_wrote(event: Event) -> None:
    """Binary mode loses nothing, for every event."""
    message = encode(event)
    assert decode(message.value, message.headers, origin="topic/0/7") == event


@given(EVENTS)
def test_codec_reads_structured_mode_as_the_same_event(event: Event) -> None:
    """Both modes say the same."""
    value = orjson.dumps(to_document(event))
    assert decode(value, [("content-type", STRUCTURED_JSON.encode())], origin="topic/0/7") == event


@given(EVENTS, st.dictionaries(TEXT.map(lambda name: f"x-{name}"), JSON, max_size=4))
def test_codec_tolerates_unknown_payload_fields(event: Event, unknown: dict[str, object]) -> None:
    """A newer sender may add fields; an older reader goes on."""
    message = encode(event)
    value = orjson.dumps({**orjson.loads(message.value), **unknown})
    assert decode(value, message.headers, origin="topic/0/7") == event


@given(REQUESTS, TEXT.map(lambda name: f"x-{name}"), JSON)
def test_codec_refuses_an_unknown_option_by_name(request: UpscaleRequested, name: str, value: object) -> None:
    """A misspelt option is never ignored: the caller would get another picture than was asked for."""
    document = orjson.loads(request.model_dump_json(exclude_none=True))
    document["options"][name] = value
    with pytest.raises(InvalidRequest) as refusal:
        decode(orjson.dumps(document), [], origin="topic/0/7")
    assert (refusal.value.field, refusal.value.request.job_id) == (f"options.{name}", request.job_id)


@given(st.binary(max_size=200), st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=6))
def test_codec_raises_only_its_own_errors_on_any_bytes(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    """Bytes from anybody cannot stop a consumer."""
    _only_refuses(value, headers)


@given(
    JSON
    | st.fixed_dictionaries(
        {"source": JSON}, optional={"job_id": JSON, "options": JSON, "labels": JSON, "deadline": JSON}
    ),
    st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=6),
)
def test_codec_raises_only_its_own_errors_on_any_json(
    document: object, headers: list[tuple[str, bytes | None]]
) -> None:
    """Well-formed JSON of any shape cannot stop a consumer either."""
    _only_refuses(orjson.dumps(document), headers)


@given(
    st.fixed_dictionaries(
        {"specversion": JSON, "type": st.sampled_from(list(EVENT_TYPES))},
        optional={"id": JSON, "source": JSON, "time": JSON, "data": JSON},
    )
)
def test_codec_raises_only_its_own_errors_on_any_envelope(document: dict[str, object]) -> None:
    """Nor can a CloudEvent whose attributes are of any shape."""
    _only_refuses(orjson.dumps(document), [])
