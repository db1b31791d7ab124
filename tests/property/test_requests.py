"""The published schema and the program take the same requests: neither is stricter than the other."""

from collections.abc import Iterable

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callbacks import Webhook, WebhookEvent, WebhookMode
from schemas.codec import InvalidRequest, UndecodableEvent, decode_only
from schemas.events import UpscaleRequested
from schemas.json_schemas import of_model
from schemas.options import BeyondNative, FaceOptions, FaceOrder, MetadataPolicy, OutputFormat, UpscaleOptions
from tests.support.events import JSON, TEXT

SCHEMA = jsonschema.Draft202012Validator(of_model(UpscaleRequested, "#/$defs/{model}"))

CANDIDATES: list[object] = [
    *(
        None,
        True,
        False,
        0,
        -0.0,
        0.5,
        1,
        1.0,
        4,
        10,
        10.5,
        31,
        32,
        32.0,
        32.5,
        95,
        128,
        1000,
        1001,
        2048,
        2049.0,
        1e300,
    ),
    *(100_000, 100_001, 2**63, 2**64 - 1, "", "2", "0.5", "false", "x", "a" * 100, "a" * 101, [], [1], {}, {"a": "b"}),
    *map(str, [*OutputFormat, *MetadataPolicy, *BeyondNative, *FaceOrder, *WebhookMode, *WebhookEvent]),
]
"""What clients are likely to write, rightly or not: tried in every field."""

NUMBERS = st.floats(-1, 12) | st.integers(-1, 2049)
WORDS = st.sampled_from([*OutputFormat, *MetadataPolicy, *BeyondNative, *FaceOrder, *WebhookMode, *WebhookEvent])
ANY = st.sampled_from(CANDIDATES) | NUMBERS | JSON


def _some_of(names: Iterable[str]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from([*names, "sclae"]), ANY, max_size=3)


OPTIONS = st.builds(
    lambda options, faces: options | ({} if faces is None else {"faces": faces}),
    _some_of(UpscaleOptions.model_fields),
    st.none() | _some_of(FaceOptions.model_fields),
)
WEBHOOKS = st.fixed_dictionaries(
    {"url": st.just("https://hooks.example") | ANY},
    optional={"mode": ANY, "payload": ANY, "events": st.lists(WORDS.map(str), max_size=7) | ANY},
)
REQUESTS = st.fixed_dictionaries(
    {"source": st.just("s3://b/k") | ANY},
    optional={
        "job_id": st.sampled_from(["a", "", None, "a/b", "a" * 129]) | JSON,
        "tenant": st.sampled_from(["a", "", None, "../a", "a" * 65]) | JSON,
        "options": OPTIONS | ANY,
        "labels": st.dictionaries(TEXT | st.just("k" * 65), TEXT | st.just("v" * 257) | JSON, max_size=18) | ANY,
        "webhook": WEBHOOKS | ANY,
        "deadline": st.none() | NUMBERS | st.booleans(),
        "unknown": JSON,
    },
)
BETWEEN_FIELDS = ("scale: must be left out beside", "tile_pad: must be under half of")
"""Rules that a schema cannot say; the descriptions of the fields do."""


def _compare(document: dict[str, object]) -> None:
    sent = orjson.dumps(document)
    try:
        decode_only(UpscaleRequested, sent, [], origin="topic/0/7")
        refused = None
    except (InvalidRequest, UndecodableEvent) as error:
        refused = str(error)
    if refused is None or not any(rule in refused for rule in BETWEEN_FIELDS):
        found = [error.message for error in SCHEMA.iter_errors(orjson.loads(sent))]
        assert bool(found) == bool(refused), (document, refused, found)


@pytest.mark.parametrize("field", [*UpscaleRequested.model_fields.keys() - {"deadline"}])
def test_schema_and_program_agree_on_every_field(field: str) -> None:
    """Who validates before sending is told what he is told who just sends. Formats of times are no validator's duty."""
    for value in CANDIDATES:
        _compare({"source": "s3://b/k", field: value})


@pytest.mark.parametrize("field", UpscaleOptions.model_fields)
def test_schema_and_program_agree_on_every_option(field: str) -> None:
    """Text is no number, a number is no truth value, `32.0` is a whole number, and null is nothing."""
    for value in CANDIDATES:
        _compare({"source": "s3://b/k", "options": {field: value}})


@pytest.mark.parametrize("field", FaceOptions.model_fields)
def test_schema_and_program_agree_on_every_option_of_faces(field: str) -> None:
    """The same one level deeper."""
    for value in CANDIDATES:
        _compare({"source": "s3://b/k", "options": {"faces": {field: value}}})


@pytest.mark.parametrize("field", Webhook.model_fields)
def test_schema_and_program_agree_on_every_field_of_a_webhook(field: str) -> None:
    """And beside the options."""
    for value in [*CANDIDATES, [str(WebhookEvent.FAILED)], [str(WebhookEvent.FAILED), "x"]]:
        _compare({"source": "s3://b/k", "webhook": {"url": "https://hooks.example", field: value}})


@given(REQUESTS)
def test_schema_and_program_take_the_same_requests(document: dict[str, object]) -> None:
    """However the fields are put together."""
    _compare(document)
