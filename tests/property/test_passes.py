"""Whatever scale or side is asked for, the result has that size and no pass is taken for nothing."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipeline.imaging.passes import asked_size, largest_source, passes
from pipeline.imaging.resize import fitted_size, target_size
from schemas.options import UpscaleOptions

SIDE = st.integers(1, 20_000)
BOUND = st.integers(1, 100_000)
SCALE = st.floats(0, 10, exclude_min=True, allow_subnormal=False)


@given(SIDE, SIDE, SCALE)
def test_scale_is_met_to_half_a_pixel(width: int, height: int, scale: float) -> None:
    """Every scale of the schema gives a picture, and its sides are the nearest there are."""
    for side, result in zip((width, height), target_size(width, height, scale), strict=True):
        assert result >= 1
        assert result == 1 or abs(result - Fraction(side) * Fraction(scale)) <= Fraction(1, 2) + Fraction(1, 10**9)


@given(SIDE, SIDE, BOUND | st.none(), BOUND | st.none())
def test_fitted_size_stays_inside_touches_a_bound_and_keeps_proportions(
    width: int, height: int, widest: int | None, highest: int | None
) -> None:
    """Nothing juts out, nothing could be larger, and no side is further than half a pixel from its proportion."""
    found = fitted_size(width, height, widest, highest)
    if widest is None and highest is None:
        assert found == (width, height)
        return
    assert min(found) >= 1
    assert widest is None or found[0] <= widest
    assert highest is None or found[1] <= highest
    assert found[0] == widest or found[1] == highest
    factors = (Fraction(found[0], width), Fraction(found[1], height))
    factor = factors[0] if found[0] == widest else factors[1]
    other, side = (found[1], height) if factor == factors[0] else (found[0], width)
    assert other == 1 or abs(other - side * factor) <= Fraction(1, 2)


@given(SIDE, SIDE, BOUND | st.none(), BOUND | st.none(), SCALE)
def test_asked_size_is_by_side_where_one_is_given(
    width: int, height: int, widest: int | None, highest: int | None, scale: float
) -> None:
    """The two ways of asking never mix: options allow only one."""
    if widest is None and highest is None:
        assert asked_size(width, height, UpscaleOptions(scale=scale)) == target_size(width, height, scale)
    else:
        options = UpscaleOptions(width=widest, height=highest)
        assert asked_size(width, height, options) == fitted_size(width, height, widest, highest)


@given(SIDE, SIDE, SCALE, st.integers(1, 4), st.booleans())
def test_passes_end_at_the_target_and_only_those_that_are_needed_are_taken(
    width: int, height: int, scale: float, native: int, repeat: bool
) -> None:
    """Without repeating there is one. With it, the network reaches the target, and one pass fewer would not have."""
    target = target_size(width, height, scale)
    sizes = passes(width, height, target, native=native, repeat=repeat)
    assert sizes[-1] == target
    assert list(sizes[:-1]) == [(width * native**n, height * native**n) for n in range(1, len(sizes))]
    if not repeat or native == 1:
        assert len(sizes) == 1
        return
    reached = native ** len(sizes)
    assert target[0] <= width * reached
    assert target[1] <= height * reached
    earlier = native ** (len(sizes) - 1)
    assert len(sizes) == 1 or target[0] > width * earlier or target[1] > height * earlier
    assert largest_source(width, height, sizes) == width * height * earlier**2
