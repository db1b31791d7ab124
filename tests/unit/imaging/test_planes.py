"""What the network sees and what its answers make."""

import numpy as np

from pipeline.imaging.planes import Planes, join, split
from pipeline.imaging.raster import Raster
from tests.support.images import make_pixels, make_raster, nearest


def test_split_replicates_grey_to_three_channels() -> None:
    """The network takes RGB; grey appears as three equal channels."""
    raster = make_raster(4, 5, grey=True)

    planes = split(raster)

    assert planes.alpha is None
    assert np.array_equal(planes.colour, np.repeat(raster.pixels, 3, axis=2))


def test_split_gives_colour_without_a_copy() -> None:
    """RGB samples go to the network as they lie in memory."""
    raster = make_raster(4, 5)

    assert split(raster).colour is raster.pixels


def test_split_gives_a_plane_of_its_own_to_alpha_that_varies() -> None:
    """Alpha is a picture too and comes after colour."""
    raster = make_raster(4, 5, alpha=True)

    colour, alpha = split(raster).all

    assert colour is raster.pixels
    assert np.array_equal(alpha[..., 1], raster.alpha)


def test_split_spares_the_network_an_alpha_that_is_constant() -> None:
    """The same alpha everywhere carries nothing that upscaling could add to."""
    raster = Raster(make_pixels(4, 5), np.full((4, 5), 128, dtype=np.uint8))

    assert len(split(raster).all) == 1


def test_join_refills_a_constant_alpha() -> None:
    """The constant comes back, at the new size."""
    raster = Raster(make_pixels(4, 5), np.full((4, 5), 128, dtype=np.uint8))

    joined = join(raster, Planes(nearest(raster.pixels, 2), None))

    assert np.array_equal(joined.alpha, np.full((8, 10), 128, dtype=np.uint8))


def test_join_restores_what_split_took_apart() -> None:
    """With a network that changes nothing, every kind of raster comes back bit for bit, metadata included."""
    for grey in (False, True):
        for alpha in (False, True):
            for depth in (8, 16):
                kind = make_raster(70, 9, grey=grey, alpha=alpha, depth=depth)
                raster = Raster(kind.pixels, kind.alpha, exif=b"MM\0*")

                joined = join(raster, split(raster))

                assert np.array_equal(joined.pixels, raster.pixels)
                assert np.array_equal(joined.alpha, raster.alpha) if alpha else joined.alpha is None
                assert joined.exif == raster.exif


def test_join_weighs_channels_as_the_eye_does() -> None:
    """Grey is 0.299 red, 0.587 green and 0.114 blue, rounded."""
    source = make_raster(1, 3, grey=True)
    colour = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)

    assert join(source, Planes(colour, None)).pixels.ravel().tolist() == [76, 150, 29]
