"""The sizes that a picture goes through."""

import pytest

from pipeline.errors import JobFailed
from pipeline.imaging.passes import check_sizes, passes, sizes_of
from schemas.failures import FailureCode
from schemas.options import BeyondNative, UpscaleOptions


@pytest.mark.parametrize(
    ("scale", "repeat", "expected"),
    [
        (8, True, ((40, 20), (80, 40))),
        (8, False, ((80, 40),)),
        (4, True, ((40, 20),)),
        (4.1, True, ((40, 20), (41, 21))),
        (1, True, ((10, 5),)),
        (0.5, True, ((5, 3),)),
    ],
)
def test_a_scale_above_the_networks_takes_a_second_pass_only_when_asked_to(
    scale: float, repeat: bool, expected: tuple[tuple[int, int], ...]
) -> None:
    """A scale that one pass reaches never pays for two."""
    how = BeyondNative.REPEAT if repeat else BeyondNative.RESIZE
    assert sizes_of(10, 5, UpscaleOptions(scale=scale, beyond_native=how), 4) == expected


def test_a_network_that_does_not_enlarge_passes_once() -> None:
    """Repeating it would never end."""
    assert passes(10, 10, (80, 80), native=1, repeat=True) == ((80, 80),)


def test_a_side_that_falls_short_by_rounding_takes_another_pass() -> None:
    """Both sides are reached by the network: neither is enlarged by the resize at the end."""
    assert passes(3, 1, (13, 4), native=4, repeat=True) == ((12, 4), (13, 4))


def test_result_beyond_the_limit_is_too_large() -> None:
    """Whatever way it was asked for."""
    options = UpscaleOptions(width=101)
    with pytest.raises(JobFailed, match="pixels is limited to 10000, got 10100") as failed:
        check_sizes([(101, 100)], options, max_pixels=1, max_output_pixels=10_000)
    assert failed.value.code is FailureCode.OUTPUT_TOO_LARGE


def test_picture_between_two_passes_is_held_to_the_limit_of_a_source() -> None:
    """The network is given it as one; the refusal names the option, the limit and the value."""
    options = UpscaleOptions(scale=8, beyond_native=BeyondNative.REPEAT)
    sizes = sizes_of(10, 10, options, 4)
    check_sizes(sizes, options, max_pixels=1600, max_output_pixels=6400)
    with pytest.raises(JobFailed, match=r"^beyond_native: .* limited to 1599 pixels, .* one of 1600; resize") as failed:
        check_sizes(sizes, options, max_pixels=1599, max_output_pixels=6400)
    assert failed.value.code is FailureCode.INVALID_OPTIONS
    assert failed.value.details == {"field": "beyond_native", "limit": 1599, "value": 1600}
