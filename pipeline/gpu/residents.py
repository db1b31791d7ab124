"""Residents: models that stay loaded, as many as their memory allows; the one unused for longest leaves first.

A model that a launch is using never leaves, nor does the one used last, however large it is. The budget is therefore
not a limit that a load could fail at: while more is in use than it allows, more is held.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import perf_counter

import structlog

from pipeline.errors import JobFailed
from pipeline.gpu.model import LoadedModel, ModelFacts
from pipeline.gpu.shrink import Reclaim, attempt
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Held:
    """What the choice of who leaves is made from."""

    key: str
    bytes: int
    in_use: bool


@dataclass(slots=True, eq=False)
class _Resident:
    model: LoadedModel
    users: int = 0


def leaving(held: Iterable[Held], budget_bytes: int, *, keep: int = 1) -> tuple[str, ...]:
    """The keys that leave so that what stays is within the budget; `held` in the order of use, the latest last.

    The last `keep` stay however large they are.
    """
    everyone = tuple(held)
    excess = sum(one.bytes for one in everyone) - budget_bytes
    gone: list[str] = []
    for one in everyone[: len(everyone) - keep]:
        if excess > 0 and not one.in_use:
            gone.append(one.key)
            excess -= one.bytes
    return tuple(gone)


class Residents:
    """Loaded models by their keys. Any thread may ask; a model is loaded by one of them while others compute."""

    def __init__(self, load: Callable[[str], LoadedModel], budget_bytes: int, reclaim: Reclaim) -> None:
        self._load = load
        self._budget_bytes = budget_bytes
        self._reclaim = reclaim
        """Called after models have left, and when one does not fit."""
        self._here: OrderedDict[str, _Resident] = OrderedDict()
        """The one used last comes last."""
        self._facts: dict[str, ModelFacts] = {}
        self._changing = Lock()
        self._loading: defaultdict[str, Lock] = defaultdict(Lock)

    @contextmanager
    def using(self, key: str) -> Iterator[LoadedModel]:
        """The model, loaded if it is not here, and kept here until the end of the block. Raises what loading raises."""
        resident = self._held(key) or self._loaded(key)
        try:
            self._make_room(self._budget_bytes)
            yield resident.model
        finally:
            with self._changing:
                resident.users -= 1

    def facts(self, key: str) -> ModelFacts | None:
        """Of a model that is here; None when it is not. Counts as a use: whoever asks is about to launch it."""
        with self._changing:
            if key not in self._here:
                return None
            self._here.move_to_end(key)
            return self._facts[key]

    def last(self, key: str) -> ModelFacts | None:
        """Of a model that is or was here; None when it never was. Counts as no use."""
        with self._changing:
            return self._facts.get(key)

    def still(self, key: str, facts: ModelFacts) -> bool:
        """Whether every launch of this key since these facts were given was with the same weights."""
        with self._changing:
            return self._facts.get(key) == facts

    def clear(self) -> None:
        """Let go of all. Nobody may be using any."""
        with self._changing:
            self._here.clear()
            self._tell()

    def _held(self, key: str) -> _Resident | None:
        with self._changing:
            resident = self._here.get(key)
            if resident is not None:
                self._here.move_to_end(key)
                resident.users += 1
            return resident

    def _loaded(self, key: str) -> _Resident:
        with self._changing:
            turn = self._loading[key]
        with turn:
            resident = self._held(key)  # by a thread that had its turn before
            if resident is None:
                resident = _Resident(self._read(key), users=1)
                self._enter(key, resident)
            return resident

    def _enter(self, key: str, resident: _Resident) -> None:
        with self._changing:
            self._here[key] = resident
            self._facts[key] = resident.model.facts
            self._tell()
        log.info("model_loaded", model=key, weights_sha256=resident.model.weights_sha256, bytes=resident.model.bytes)

    def _read(self, key: str) -> LoadedModel:
        started = perf_counter()
        model = attempt(partial(self._load, key), partial(self._make_room_for, key))
        if model is None:
            raise JobFailed(
                FailureCode.DEVICE_OUT_OF_MEMORY, f"the device has not enough memory left for the model {key!r}"
            )
        metrics.MODEL_LOAD_SECONDS.labels(model.spec.name).observe(perf_counter() - started)
        return model

    def _make_room_for(self, key: str) -> None:
        log.warning("out_of_memory", model=key)
        self._make_room(0, keep=0)
        # Also when nobody could leave: what launches have left behind is worth as much.
        self._reclaim()

    def _make_room(self, budget_bytes: int, *, keep: int = 1) -> None:
        with self._changing:
            held = [Held(key, one.model.bytes, one.users > 0) for key, one in self._here.items()]
            gone = [(key, self._here.pop(key).model.spec.name) for key in leaving(held, budget_bytes, keep=keep)]
            self._tell()
        for key, name in gone:
            metrics.MODEL_EVICTIONS.labels(name).inc()
            log.info("model_left", model=key)
        if gone:
            self._reclaim()

    def _tell(self) -> None:
        metrics.MODELS_RESIDENT.set(len(self._here))
        metrics.MODELS_RESIDENT_BYTES.set(sum(one.model.bytes for one in self._here.values()))
