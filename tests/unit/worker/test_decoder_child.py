"""What a decoder process answers."""

import os

import numpy as np
import pytest

from pipeline.imaging.decode import decode
from pipeline.worker.decoder_child import Confinement, serve
from pipeline.worker.decoder_memory import SharedMemory
from pipeline.worker.decoder_messages import Picture, Refusal, Request, dump, load_reply, load_request
from tests.support.images import make_pixels
from tests.support.picture_files import LIMITS, RGB_ALPHA, chunk, exif, png

FILE = png(make_pixels(5, 7, 4, depth=16), RGB_ALPHA, 16, before=chunk(b"eXIf", exif(make="Maker")))


def test_serve_lays_the_picture_into_shared_memory() -> None:
    """Pixels, alpha and EXIF follow one another without gaps."""
    source, target = SharedMemory.holding(FILE), SharedMemory.of_size(100_000)

    picture = serve(Request(len(FILE), True), source.descriptor, target.descriptor, LIMITS)

    expected = decode(FILE, LIMITS, keep_exif=True).raster
    assert isinstance(picture, Picture)
    assert (picture.height, picture.width, picture.channels, picture.bits) == (5, 7, 3, 16)
    content = target.private_view(picture.total_bytes)[:]
    assert content == expected.pixels.tobytes() + expected.alpha.tobytes() + expected.exif


def test_serve_says_why_there_is_no_picture() -> None:
    """A failure is a value with its code, text and details."""
    source, target = SharedMemory.holding(FILE[:-9]), SharedMemory.of_size(100_000)

    refusal = serve(Request(len(FILE) - 9, False), source.descriptor, target.descriptor, LIMITS)

    assert refusal == Refusal("image_truncated", "source: the PNG file ends before its picture does", {})


def test_serve_says_when_the_result_cannot_be_mapped() -> None:
    """Memory that cannot be had is too complex a picture, not a crash."""
    source, target = SharedMemory.holding(FILE), os.open(os.devnull, os.O_RDWR)

    refusal = serve(Request(len(FILE), False), source.descriptor, target, LIMITS)
    os.close(target)

    assert isinstance(refusal, Refusal)
    assert refusal.code == "image_too_complex"


def test_messages_survive_the_wire() -> None:
    """What one side writes the other reads."""
    request = Request(1, True)
    picture = Picture(1, 2, 3, 8, True, 4, ("animation_dropped",))
    failure = load_reply(dump(Refusal("image_corrupt", "text", {"limit": 1})))

    assert load_request(dump(request)) == request
    assert load_reply(dump(picture)) == picture
    assert (failure.code, failure.message, failure.details) == ("image_corrupt", "text", {"limit": 1})


def test_confinement_survives_the_command_line() -> None:
    """What the worker asks for is what the process obeys."""
    confinement = Confinement(LIMITS, 123, 4)

    assert Confinement.load(confinement.dump()) == confinement


@pytest.mark.parametrize("line", [b"what?\n", b"{}\n", b"[]\n", b'{"kind":"Refusal","code":"no","message":1}\n'])
def test_load_reply_refuses_what_no_decoder_says(line: bytes) -> None:
    """A decoder that was taken over can say anything; only what makes sense is believed."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        load_reply(line)


def test_shared_memory_cannot_be_shortened() -> None:
    """Reading past a shortened end would kill the reader, so that no end can be moved."""
    memory = SharedMemory.of_size(4096)

    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, 0)


def test_shared_memory_views_are_private() -> None:
    """What the worker writes to its view nobody else sees, and the view outlives the descriptor."""
    memory = SharedMemory.holding(b"abcd")
    one, other = memory.private_view(4), memory.private_view(4)

    memory.close()
    memory.close()
    np.frombuffer(one, np.uint8)[...] = 0

    assert (one[:], other[:]) == (bytes(4), b"abcd")
