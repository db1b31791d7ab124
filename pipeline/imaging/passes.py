"""Passes: the sizes that a picture goes through on its way to the one that was asked for."""

from collections.abc import Sequence

from pipeline.errors import JobFailed
from pipeline.imaging.encode import check_output
from pipeline.imaging.resize import Size, fitted_size, target_size
from schemas.failures import FailureCode
from schemas.options import BeyondNative, UpscaleOptions


def asked_size(width: int, height: int, options: UpscaleOptions) -> Size:
    """Of the result: by `width` and `height` where one was given, by `scale` otherwise."""
    if options.width is None and options.height is None:
        return target_size(width, height, options.scale)
    return fitted_size(width, height, options.width, options.height)


def passes(width: int, height: int, target: Size, *, native: int, repeat: bool) -> tuple[Size, ...]:
    """The picture's size after each pass of a network that enlarges `native` times; the last is `target`.

    One pass, unless it is to `repeat`: then as many as it takes for the network alone to reach `target`. What comes
    before the last is not resized: the next pass sees all that the network made.
    """
    sizes: list[Size] = []
    while repeat and native > 1 and (width * native < target[0] or height * native < target[1]):
        width, height = width * native, height * native
        sizes.append((width, height))
    return (*sizes, target)


def sizes_of(width: int, height: int, options: UpscaleOptions, native: int) -> tuple[Size, ...]:
    """`passes` for a picture of this size and these options."""
    repeat = options.beyond_native is BeyondNative.REPEAT
    return passes(width, height, asked_size(width, height, options), native=native, repeat=repeat)


def largest_source(width: int, height: int, sizes: Sequence[Size]) -> int:
    """Pixels of the largest picture that the network is given."""
    return max(across * down for across, down in ((width, height), *sizes[:-1]))


def check_sizes(sizes: Sequence[Size], options: UpscaleOptions, *, max_pixels: int, max_output_pixels: int) -> None:
    """Refuse sizes before anything is computed for them.

    The result is held to `max_output_pixels` (output_too_large). A picture between two passes is a source to the
    second, and held to the `max_pixels` of one (invalid_options). Raises `JobFailed`.
    """
    check_output(*sizes[-1], options.output_format, max_output_pixels)
    between = max((width * height for width, height in sizes[:-1]), default=0)
    if between > max_pixels:
        raise JobFailed(
            FailureCode.INVALID_OPTIONS,
            f"beyond_native: a picture between two passes is limited to {max_pixels} pixels, and repeat would make one "
            f"of {between}; resize makes none",
            {"field": "beyond_native", "limit": max_pixels, "value": between},
        )
