"""Options are refused rather than guessed."""

import pytest
from pydantic import ValidationError

from schemas.options import OutputFormat, UpscaleOptions


@pytest.mark.parametrize("number", [0, -1, 10.5, float("nan"), float("inf"), True, "wide"])
def test_scale_is_a_number_above_zero_up_to_ten(number: object) -> None:
    """Nothing else yields a picture somebody wanted."""
    with pytest.raises(ValidationError, match="scale"):
        UpscaleOptions.model_validate({"scale": number})


@pytest.mark.parametrize("name", ["tile_size", "tile_pad", "quality"])
def test_truth_values_are_not_numbers(name: str) -> None:
    """`true` would otherwise be read as 1."""
    with pytest.raises(ValidationError, match="must be a number, got true"):
        UpscaleOptions.model_validate({name: True})


@pytest.mark.parametrize("given", [{"scale": "2"}, {"quality": "80"}, {"width": [32]}, {"face_enhance": "true"}])
def test_text_is_no_number_and_no_truth(given: dict[str, object]) -> None:
    """The published schema refuses it, so whoever validates first and whoever just sends are told the same."""
    with pytest.raises(ValidationError):
        UpscaleOptions.model_validate(given)


def test_pad_must_leave_a_core() -> None:
    """At half the tile size nothing but context is left; just below, something is."""
    assert UpscaleOptions(tile_size=65, tile_pad=32).tile_pad == 32
    with pytest.raises(ValidationError, match="got 32: no core is left"):
        UpscaleOptions(tile_size=64, tile_pad=32)


def test_pad_without_a_tile_size_is_left_to_the_worker() -> None:
    """Only together can they contradict each other."""
    assert UpscaleOptions(tile_pad=128).tile_size is None


@pytest.mark.parametrize(
    ("form", "media_type", "extension"),
    [
        (OutputFormat.PNG, "image/png", "png"),
        (OutputFormat.JPEG, "image/jpeg", "jpg"),
        (OutputFormat.WEBP, "image/webp", "webp"),
    ],
)
def test_format_knows_its_registered_name_and_usual_ending(form: OutputFormat, media_type: str, extension: str) -> None:
    """`image/jpg` is not registered, and `.jpeg` is not usual."""
    assert (form.media_type, form.extension) == (media_type, extension)


def test_size_is_said_one_way() -> None:
    """A factor and a side that disagree are not settled by guessing."""
    assert UpscaleOptions(width=100, height=50).scale == 4
    with pytest.raises(ValidationError, match="scale: must be left out beside width and height, got 2"):
        UpscaleOptions(scale=2, width=100, height=50)


@pytest.mark.parametrize("asked", [{"width": 100}, {"height": 50}, {"width": 100, "height": 50}, {"scale": 2}, {}])
def test_options_that_were_written_out_can_be_read_back(asked: dict[str, int]) -> None:
    """Events carry every default; a factor that nobody asked for must not contradict a side there."""
    options = UpscaleOptions.model_validate(asked)
    for written in (options.model_dump(mode="json"), options.model_dump(mode="json", exclude_none=True)):
        assert UpscaleOptions.model_validate(written) == options
        assert ("scale" in written) == ("width" not in asked and "height" not in asked)
    assert UpscaleOptions.model_validate_json(options.model_dump_json()) == options
