"""Hypothesis strategies for events and for what hostile senders write."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from schemas.events import (
    Event,
    EventData,
    Failure,
    Provenance,
    ResultObject,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleRequested,
    UpscaleStarted,
    event_from,
)
from schemas.failures import FailureCode, Fault
from schemas.options import BeyondNative, FaceOptions, FaceOrder, MetadataPolicy, OutputFormat, UpscaleOptions
from schemas.stages import Stage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JOB_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", fullmatch=True)
TENANTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
LABELS = st.dictionaries(TEXT, TEXT, max_size=16)
MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001  the zone is drawn apart
    max_value=datetime(9997, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
"""Anything a JSON reader may hand out."""


def _pads_within(options: UpscaleOptions) -> bool:
    return options.tile_size is None or options.tile_pad is None or 2 * options.tile_pad < options.tile_size


_SIDES = st.integers(1, 100_000)
_SIZES = (
    st.fixed_dictionaries({"scale": st.floats(min_value=0, max_value=10, exclude_min=True)})
    | st.fixed_dictionaries({"width": _SIDES, "height": st.none() | _SIDES})
    | st.fixed_dictionaries({"height": _SIDES})
)
_OTHERS = st.fixed_dictionaries(
    {
        "model": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        "beyond_native": st.sampled_from(BeyondNative),
        "denoise_strength": st.none() | st.floats(min_value=0, max_value=1),
        "face_enhance": st.booleans(),
        "faces": st.builds(
            FaceOptions,
            weight=st.floats(min_value=0, max_value=1),
            only_center=st.booleans(),
            max_size=st.none() | _SIDES,
            order=st.sampled_from(FaceOrder),
        ),
        "tile_size": st.none() | st.integers(32, 2048),
        "tile_pad": st.none() | st.integers(0, 128),
        "output_format": st.sampled_from(OutputFormat),
        "quality": st.integers(1, 100),
        "metadata": st.sampled_from(MetadataPolicy),
    }
)
OPTIONS = st.builds(lambda size, others: UpscaleOptions.model_construct(**size, **others), _SIZES, _OTHERS).filter(
    _pads_within
)

_PIXELS = st.integers(1, 2**53)
_DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
_IDENTITY = {"job_id": JOB_IDS, "tenant": TENANTS, "labels": LABELS}
_SECONDS = st.floats(min_value=0, allow_infinity=False)

REQUESTS = st.builds(
    UpscaleRequested,
    **_IDENTITY,
    source=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80),
    options=OPTIONS,
    deadline=st.none() | MOMENTS,
)
PAYLOADS: st.SearchStrategy[EventData] = st.one_of(
    REQUESTS,
    st.builds(UpscaleStarted, **_IDENTITY),
    st.builds(
        UpscaleProgress,
        **_IDENTITY,
        stage=st.sampled_from(Stage),
        tiles_done=st.integers(0, 2**53),
        tiles_total=_PIXELS,
    ),
    st.builds(
        UpscaleCompleted,
        **_IDENTITY,
        result=st.builds(
            ResultObject,
            url=TEXT.map(lambda key: f"s3://bucket/{key}"),
            sha256=_DIGESTS,
            size=_PIXELS,
            format=st.sampled_from(OutputFormat),
            width=_PIXELS,
            height=_PIXELS,
        ),
        provenance=st.builds(Provenance, model=TEXT, weights_sha256=_DIGESTS, precision=TEXT, version=TEXT),
        warnings=st.lists(TEXT, max_size=3),
        source_width=_PIXELS,
        source_height=_PIXELS,
        processing_seconds=_SECONDS,
    ),
    st.builds(
        UpscaleFailed,
        **_IDENTITY,
        failure=st.builds(
            Failure,
            code=st.sampled_from(FailureCode),
            stage=st.none() | st.sampled_from(Stage),
            fault=st.sampled_from(Fault),
            retryable=st.booleans(),
            message=TEXT,
            details=st.dictionaries(
                TEXT,
                st.none()
                | st.booleans()
                | st.integers(-(2**63), 2**64 - 1)
                | st.floats(allow_nan=False, allow_infinity=False)
                | TEXT,
                max_size=4,
            ),
        ),
    ),
    st.builds(UpscaleCanceled, **_IDENTITY),
    st.builds(UpscaleExpired, **_IDENTITY, deadline=MOMENTS),
)
EVENTS: st.SearchStrategy[Event] = st.builds(
    event_from,
    PAYLOADS,
    source=st.sampled_from(["/upscale/local", "https://platform.example/é"]),
    time=MOMENTS | st.just(datetime(2026, 1, 31, 12, tzinfo=UTC)),
)
