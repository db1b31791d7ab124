"""Whatever options a caller is allowed, the finished picture can be stored."""

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.storage.keys import result_key
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.storage.store import describe
from schemas.options import OutputFormat, UpscaleOptions
from tests.support.store import make_identity

METADATA_BYTES = 2048
"""S3's own limit on all names and values together."""
NUMBERS = st.none() | st.integers() | st.integers(1, 10**6) | st.floats() | st.floats(0, 1)
NAMES = st.text(min_size=1, max_size=100) | st.text(st.characters(max_codepoint=127), min_size=90, max_size=100)
FACES = st.fixed_dictionaries(
    {}, optional={"model": NAMES, "weight": NUMBERS, "max_size": NUMBERS, "min_eye_distance": NUMBERS}
)
WANTED = st.fixed_dictionaries(
    {"faces": FACES},
    optional=dict.fromkeys(("scale", "denoise_strength", "tile_size", "width", "quality"), NUMBERS),
)


@given(WANTED)
@example({"faces": {"model": "gfpgan-ü"}})
@example({"faces": {"max_size": 10**20}})
def test_any_options_that_are_accepted_give_a_key_and_metadata_that_a_store_takes(wanted: dict[str, object]) -> None:
    """ASCII within the limit: what the store refuses after the computation is lost, and counts as our error."""
    try:
        options = UpscaleOptions.model_validate(wanted)
    except ValidationError:
        return
    identity = replace(make_identity("j" * 128, "t" * 64), options=options, model="m" * 64)
    key = result_key(identity)
    source = SourceFacts(100_000, 100_000, ("animation_dropped", "exif_dropped", "icc_ignored"))
    stored = StoredObject("upscale", key, "0" * 64, 10**12, OutputFormat.JPEG, 100_000, 100_000, source)
    told = describe(stored, identity, "100.100.100")

    assert key.isascii()
    assert all(value.isascii() and value.isprintable() for value in told.values())
    assert sum(len(name) + len(value) for name, value in told.items()) < METADATA_BYTES
