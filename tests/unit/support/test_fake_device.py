"""The fake device and the points at which its worker crashes."""

import numpy as np
import pytest
import torch

from pipeline.gpu import selftest
from pipeline.gpu.infer import infer
from pipeline.gpu.models.catalog import MODELS
from tests.support.crash_points import Crash, CrashPoint
from tests.support.fake_device import LatencyLaw, answer_the_self_test, enlarged, fake_load
from tests.support.images import make_pixels

NAME = MODELS[0].name


@pytest.mark.parametrize("depth", [8, 16])
def test_fake_device_repeats_every_pixel_exactly(depth: int) -> None:
    """Results are known sample by sample, so a wrong or mixed up one cannot hide in a tolerance."""
    tile = make_pixels(8, 12, depth=depth)
    with torch.inference_mode():
        assert np.array_equal(infer(fake_load(LatencyLaw())(NAME), [tile], "cpu")[0], enlarged(tile))


def test_launch_takes_as_long_as_the_law_says_and_tells_its_middle() -> None:
    """Two tiles of 500 x 1000 pixels are one megapixel; half of the time passes before the middle."""
    order: list[object] = []
    model = fake_load(LatencyLaw(0.5, 2.0), half_way=lambda _: order.append("middle"), sleep=order.append)(NAME)
    model.network(torch.zeros(2, 3, 500, 1000))
    assert order == [1.25, "middle", 1.25]


def test_fake_device_passes_the_self_test_of_a_process_that_expects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker starts with it as with any device; a process that expects the networks would refuse it."""
    monkeypatch.setattr(selftest, "EXPECTED", dict(selftest.EXPECTED))
    model = fake_load(LatencyLaw())(NAME)
    with torch.inference_mode():
        with pytest.raises(selftest.WrongAnswer):
            selftest.check(model, "cpu")
        answer_the_self_test()
        selftest.check(model, "cpu")


def test_crash_comes_at_its_point_and_at_its_time_and_not_again() -> None:
    """Other points do not count."""
    deaths: list[int] = []
    reached: list[CrashPoint] = []
    crash = Crash(CrashPoint.STORED, 2, die=lambda: deaths.append(len(reached)))
    for point in (CrashPoint.STORED, CrashPoint.LAUNCH, CrashPoint.ACKNOWLEDGED, CrashPoint.STORED, CrashPoint.STORED):
        reached.append(point)
        crash.reached(point)
    assert deaths == [4]


def test_crash_is_read_as_it_is_written() -> None:
    """A test writes it on a command line, and the worker reads it there."""
    assert str(Crash.parse("acknowledged:7")) == str(Crash(CrashPoint.ACKNOWLEDGED, 7)) == "acknowledged:7"
    with pytest.raises(ValueError, match="nowhere"):
        Crash.parse("nowhere:7")
