"""Which models stay loaded, with real small networks."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from pipeline.errors import JobFailed
from pipeline.gpu.model import LoadedModel, load_spec
from pipeline.gpu.models.specs import ModelSpec, SRVGGShape
from pipeline.gpu.residents import Held, Residents, leaving
from schemas.failures import FailureCode
from tests.support import drawn
from tests.support.networks import cpu_profile

NAMES = ("a", "b", "c")
HELD = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=6).map(
    lambda sizes: [Held(str(number), size, used) for number, (size, used) in enumerate(sizes)]
)


class Shelf:
    """Real networks on disk, and what was loaded of them."""

    def __init__(self, folder: Path) -> None:
        tiny = replace(drawn.GENERAL, architecture=SRVGGShape(convs=1))
        self.specs: dict[str, ModelSpec] = {
            name: drawn.installed(replace(tiny, name=name), folder, seed=seed) for seed, name in enumerate(NAMES)
        }
        self.folder = folder
        self.loads: list[str] = []
        self.networks: list[weakref.ref[object]] = []
        self.bytes = self.load("a").bytes
        self.loads.clear()

    def load(self, key: str) -> LoadedModel:
        self.loads.append(key)
        model = load_spec(self.specs[key], None, cpu_profile(), self.folder)
        self.networks.append(weakref.ref(model.network))
        return model

    def living(self) -> int:
        gc.collect()
        return sum(network() is not None for network in self.networks[1:])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def residents(
    shelf: Shelf,
    room: float,
    load: Callable[[str], LoadedModel] | None = None,
    reclaim: Callable[[], None] = gc.collect,
) -> Residents:
    """Room for so many of the shelf's models, which are of one size."""
    return Residents(load or shelf.load, int(room * shelf.bytes), reclaim)


def used(here: Residents, *keys: str) -> None:
    for key in keys:
        with here.using(key) as model:
            assert model.spec.name == key


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_model_is_loaded_once_while_there_is_room(shelf: Shelf) -> None:
    """Turning from one to the other and back costs nothing."""
    used(residents(shelf, 2), "a", "b", "a", "b")

    assert shelf.loads == ["a", "b"]


def test_model_unused_for_longest_leaves_and_its_memory_with_it(shelf: Shelf) -> None:
    """Not the one loaded first; and nothing of it is left, so that the memory is really free."""
    here = residents(shelf, 2)

    used(here, "a", "b", "a", "c")
    assert shelf.living() == 2
    assert [key for key in NAMES if here.facts(key) is not None] == ["a", "c"]

    used(here, "b")
    assert shelf.loads == ["a", "b", "c", "b"]


def test_model_in_use_never_leaves(shelf: Shelf) -> None:
    """However little room there is; it goes when its launch is over and another is used."""
    here = residents(shelf, 1)

    with here.using("a") as first, here.using("b"):
        used(here, "c")
        assert here.facts("a") == first.facts
        assert here.facts("b") is not None
    used(here, "c")

    assert [key for key in NAMES if here.facts(key) is not None] == ["c"]


def test_model_larger_than_the_budget_stays_until_another_is_needed(shelf: Shelf) -> None:
    """It would otherwise be loaded for each launch."""
    here = residents(shelf, 0.5)

    used(here, "a", "a", "b", "b")

    assert shelf.loads == ["a", "b"]


def test_memory_is_given_back_only_when_something_left(shelf: Shelf) -> None:
    """Asking a GPU for it waits for the GPU."""
    times: list[int] = []
    here = residents(shelf, 1, reclaim=lambda: times.append(shelf.living()))

    used(here, "a", "a")
    assert times == []
    used(here, "b")

    assert times == [1]


def test_failed_load_is_tried_again(shelf: Shelf) -> None:
    """Weights that were missing are found once they are there; each caller hears for itself."""
    refusal = JobFailed(FailureCode.MODEL_NOT_AVAILABLE, "model: not here")
    answers = iter([refusal, refusal])

    def load(key: str) -> LoadedModel:
        for error in answers:
            raise error
        return shelf.load(key)

    here = residents(shelf, 1, load)
    for _ in range(2):
        with pytest.raises(JobFailed), here.using("a"):
            pass
        assert here.facts("a") is None
    used(here, "a")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()], ids=type)
def test_model_that_does_not_fit_takes_the_place_of_all_that_are_idle(shelf: Shelf, error: Exception) -> None:
    """Also when the budget would hold them: other things fill the device too."""

    def load(key: str) -> LoadedModel:
        if key == "c" and shelf.living() > 0:
            raise error
        return shelf.load(key)

    here = residents(shelf, 10, load)
    used(here, "a", "b")
    used(here, "c")

    assert here.facts("c") is not None
    assert shelf.living() == 1


def test_model_is_tried_again_when_only_launches_left_memory_behind(shelf: Shelf) -> None:
    """A worker with one model has none that could leave, and memory all the same."""
    free: list[bool] = []

    def load(key: str) -> LoadedModel:
        if not free:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return shelf.load(key)

    used(residents(shelf, 1, load, reclaim=lambda: free.append(True)), "a")

    assert shelf.loads == ["a"]


def test_model_that_fits_nowhere_fails_the_job_and_not_the_device(shelf: Shelf) -> None:
    """The failure is one that another worker may do better with."""

    def load(key: str) -> LoadedModel:
        raise RuntimeError("CUDA error: out of memory")

    with pytest.raises(JobFailed) as failed, residents(shelf, 1, load).using("a"):
        pass

    assert failed.value.code is FailureCode.DEVICE_OUT_OF_MEMORY


def test_model_is_loaded_by_one_thread_and_others_go_on_with_theirs(shelf: Shelf) -> None:
    """Four want the one that is loading, and get it when it is there; a fifth uses another meanwhile."""
    entered, opened = threading.Event(), threading.Event()

    def load(key: str) -> LoadedModel:
        if key == "a":
            entered.set()
            assert opened.wait(30)
        return shelf.load(key)

    here = residents(shelf, 3, load)
    with ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(used, here, "a") for _ in range(4)]
        assert entered.wait(30)
        threads.submit(used, here, "b").result(timeout=30)
        opened.set()
        for one in waiting:
            one.result(timeout=30)

    assert shelf.loads == ["b", "a"]


def test_facts_hold_until_the_model_comes_back_with_other_weights(shelf: Shelf) -> None:
    """A model that left and came back from the same file is the same; one whose file was replaced is not."""
    here = residents(shelf, 1)
    used(here, "a")
    facts = here.facts("a")
    assert facts is not None

    used(here, "b", "a")
    assert here.still("a", facts)

    used(here, "b")
    shelf.specs["a"] = drawn.installed(shelf.specs["a"], shelf.folder, seed=99)
    used(here, "a")
    assert not here.still("a", facts)


def test_residents_are_seen_by_the_operator(shelf: Shelf) -> None:
    """How many, how large, how often loaded and how often gone."""
    names = ("upscale_model_load_duration_seconds_count", "upscale_model_evictions_total")
    before = [sample(name, model="a") for name in names]
    here = residents(shelf, 2)

    used(here, "a", "b", "c")

    assert sample("upscale_models_resident") == 2
    assert sample("upscale_models_resident_bytes") == 2 * shelf.bytes
    assert [sample(name, model="a") - old for name, old in zip(names, before, strict=True)] == [1, 1]
    here.clear()
    assert (sample("upscale_models_resident"), sample("upscale_models_resident_bytes")) == (0, 0)


@given(HELD, st.integers(0, 40))
def test_who_leaves_is_idle_and_used_longest_ago_and_no_more_than_need_be(held: list[Held], budget: int) -> None:
    """Either what stays is within the budget, or nobody could leave; and the last to go had to."""
    gone = leaving(held, budget)
    stays = [one for one in held if one.key not in gone]
    idle = [one.key for one in held[:-1] if not one.in_use]

    assert list(gone) == idle[: len(gone)]
    assert sum(one.bytes for one in stays) <= budget or len(gone) == len(idle)
    if gone:
        last = next(one for one in held if one.key == gone[-1])
        assert sum(one.bytes for one in stays) + last.bytes > budget
