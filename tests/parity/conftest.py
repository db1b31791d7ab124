"""Upstream's own program and ours, with the same weights."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.gpu import reference
from pipeline.gpu.model import LoadedModel, load
from pipeline.gpu.models import catalog
from pipeline.gpu.models.specs import Precision
from tests.support.networks import cpu_profile


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A `RealESRGANer` for a model: float32 on the CPU, whole pictures, no padding."""
    manner = reference.Manner("cpu")
    return cache(
        lambda name: reference.enhancer(catalog.find(name), Path("absent"), tmp_path_factory.mktemp(name), manner)
    )


@pytest.fixture(scope="session")
def ours() -> Callable[[str, Precision], LoadedModel]:
    """Our model in a precision, with the weights of the install."""
    return cache(lambda name, precision: load(name, replace(cpu_profile(), precision=precision), Path("absent")))


@pytest.fixture(autouse=True)
def _inference_mode() -> Iterator[None]:
    with torch.inference_mode():
        yield
