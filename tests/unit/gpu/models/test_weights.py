"""Finding, verifying and loading weights."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.models import carrier, catalog, weights
from pipeline.gpu.models.catalog import WITH_THE_INSTALL
from pipeline.gpu.models.specs import ModelSpec
from schemas.failures import FailureCode

SPEC = catalog.find("realesr-animevideov3")


class Explosive:
    """Touches a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.path,))


def pinned(folder: Path, blob: bytes) -> ModelSpec:
    """A spec whose official file is `blob`, written into `folder`."""
    (folder / SPEC.official.file).write_bytes(blob)
    return replace(SPEC, official=replace(SPEC.official, sha256=hashlib.sha256(blob).hexdigest()))


def saved(folder: Path, content: object) -> bytes:
    path = folder / "saved"
    torch.save(content, path)
    return path.read_bytes()


@pytest.mark.weights
@pytest.mark.parametrize("spec", WITH_THE_INSTALL, ids=lambda spec: spec.name)
def test_weights_of_the_install_are_the_pinned_ones(spec: ModelSpec, tmp_path: Path) -> None:
    """Every model loads from what pip brought, verified; the digest reported is that of the file."""
    found = weights.load(spec, tmp_path)

    assert found.sha256 == spec.carried.sha256
    assert all(tensor.dtype == torch.float32 for tensor in found.tensors.values())


@pytest.mark.parametrize("key", ["params_ema", "params", None])
def test_weights_accept_an_official_file_in_each_layout(key: str | None, tmp_path: Path) -> None:
    """A pinned `.pth` comes before the install's weights; parameters may be bare or under upstream's keys."""
    state = {"body.0.bias": torch.arange(3.0)}
    spec = pinned(tmp_path, saved(tmp_path, {key: state} if key else state))

    found = weights.load(spec, tmp_path)

    assert found.sha256 == spec.official.sha256
    assert torch.equal(found.tensors["body.0.bias"], torch.arange(3.0))


def test_weights_prefer_the_averaged_parameters(tmp_path: Path) -> None:
    """Of both sets in a file, the moving average is the one upstream publishes."""
    content: dict[str, dict[str, Tensor]] = {"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}

    assert weights.load(pinned(tmp_path, saved(tmp_path, content)), tmp_path).tensors["a"] == 1


def test_weights_refuse_a_file_with_another_digest(tmp_path: Path) -> None:
    """A file that was put there to be used is refused, not passed over; the caller sees no path."""
    (tmp_path / SPEC.official.file).write_bytes(b"something else")

    with pytest.raises(JobFailed) as caught:
        weights.load(SPEC, tmp_path)

    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert str(tmp_path) not in caught.value.message
    assert SPEC.official.sha256 in str(caught.value.__cause__)


def test_weights_refuse_a_pickle_without_running_it(tmp_path: Path) -> None:
    """Code inside a file is not executed, even when somebody pinned its digest."""
    touched = tmp_path / "touched"
    spec = pinned(tmp_path, saved(tmp_path, {"params": Explosive(touched)}))

    with pytest.raises(JobFailed, match="weights of"):
        weights.load(spec, tmp_path)

    assert not touched.exists()


def test_weights_refuse_a_bare_pickle_without_running_it(tmp_path: Path) -> None:
    """The same for a pickle outside torch's container."""
    touched = tmp_path / "touched"
    spec = pinned(tmp_path, pickle.dumps(Explosive(touched), protocol=2))

    with pytest.raises(JobFailed, match="weights of"):
        weights.load(spec, tmp_path)

    assert not touched.exists()


@pytest.mark.parametrize("content", [{}, {"params": {}}, {"params": {"a": 1}}, [1, 2], {"params": torch.zeros(1)}])
def test_weights_refuse_a_file_without_parameters(content: object, tmp_path: Path) -> None:
    """Anything but a dictionary of tensors is said to be so."""
    with pytest.raises(JobFailed) as caught:
        weights.load(pinned(tmp_path, saved(tmp_path, content)), tmp_path)

    assert "holds no parameters" in str(caught.value.__cause__)


def test_weights_refuse_a_truncated_file(tmp_path: Path) -> None:
    """Half a file, digest pinned or not, is a failure of ours and not a crash."""
    blob = saved(tmp_path, {"params": {"a": torch.zeros(1000)}})

    with pytest.raises(JobFailed):
        weights.load(pinned(tmp_path, blob[: len(blob) // 2]), tmp_path)


def test_weights_refuse_an_empty_file(tmp_path: Path) -> None:
    """Nothing is not a network."""
    with pytest.raises(JobFailed):
        weights.load(pinned(tmp_path, b""), tmp_path)


def test_weights_say_so_when_the_package_lacks_the_file(tmp_path: Path) -> None:
    """A model whose weights did not come with the install is not available, and that is not the caller's fault."""
    missing = replace(SPEC, carried=replace(SPEC.carried, stem="NO_SUCH_MODEL"))

    with pytest.raises(JobFailed) as caught:
        weights.load(missing, tmp_path)

    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE


def test_weights_say_so_when_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the package that carries them the model is not available; the log names the package."""
    monkeypatch.setattr(carrier, "CARRIER", "no-such-distribution")

    with pytest.raises(JobFailed) as caught:
        weights.load(SPEC, tmp_path)

    assert "no-such-distribution" in str(caught.value.__cause__)
