"""Files of weights, good and hostile, to parameters: nothing in them is ever run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.gpu.models.parameters import float32, from_pth, from_safetensors, to_safetensors
from tests.support.published import saved

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.index": torch.arange(3), "a.half": torch.ones(2).half()}


class Program:
    """Runs a command when unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, (self.command,))


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(
        found[name].dtype == expected[name].dtype and torch.equal(found[name], expected[name]) for name in expected
    )


@pytest.mark.parametrize("keys", [(), ("params",), ("params_ema",), ("state_dict",), ("model", "state_dict")])
def test_parameters_are_found_bare_or_under_the_usual_keys(keys: tuple[str, ...]) -> None:
    content: object = STATE
    for key in keys:
        content = {key: content, "iterations": 400_000} if key == "state_dict" else {key: content}
    assert same(from_pth(saved(content)), STATE)


def test_parameters_of_a_legacy_file_are_found() -> None:
    """As torch wrote before 1.6, and as facexlib's detectors still are."""
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=False)
    assert same(from_pth(buffer.getvalue()), STATE)


def test_parameters_come_back_from_safetensors_as_they_were() -> None:
    """Views of one storage too, and in each number format; equal tensors give equal bytes."""
    shared = torch.arange(8.0)
    state = {**STATE, "view": shared[2:6], "turned": torch.arange(6.0).view(2, 3).t()}
    blob = to_safetensors(state)
    found = from_safetensors(blob)
    assert same({name: found[name] for name in state}, state)
    assert to_safetensors({name: tensor.clone() for name, tensor in state.items()}) == blob


def test_only_fractions_become_float32() -> None:
    """Tables of indices are whole numbers and stay so."""
    found = float32(STATE)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "a.weight": torch.float32, "a.index": torch.int64, "a.half": torch.float32,
    }  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_program_in_a_file_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    """In torch's container, old and new."""
    touched = tmp_path / "touched"
    buffer = io.BytesIO()
    torch.save({"params": Program(f"touch {touched}")}, buffer, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="not a file of tensors"):
        from_pth(buffer.getvalue())
    assert not touched.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_bare_program_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(ValueError, match="not a file of tensors"):
        from_pth(pickle.dumps(Program(f"touch {touched}"), protocol))
    assert not touched.exists()


def test_compressed_file_is_refused_unread() -> None:
    """A hundred kilobytes that would become a hundred megabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", bytes(100_000_000))
    assert len(buffer.getvalue()) < 200_000
    with pytest.raises(ValueError, match="has compressed entries"):
        from_pth(buffer.getvalue())


def test_tensors_that_claim_more_than_the_file_holds_are_refused() -> None:
    """One number, seen as a trillion: copying such a tensor would fill the memory."""
    with pytest.raises(ValueError, match=r"its tensors claim 4000000000000 bytes, more than the \d+ of the file"):
        from_pth(saved({"a": torch.zeros(1).expand(1_000_000, 1_000_000)}))


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(ValueError, match="a: must be a plain tensor"):
        from_pth(saved({"a": torch.eye(3).to_sparse()}))


@pytest.mark.parametrize(
    "content", [{}, {"params": {}}, {"params": {"a": 1}}, [1, 2], {"params": torch.zeros(1)}, torch.zeros(3), "weights"]
)
def test_file_without_parameters_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match="holds no parameters"):
        from_pth(saved(content))


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 200, -1])
def test_damaged_file_is_refused(kept: int) -> None:
    """Cut off anywhere, in either format."""
    with pytest.raises(ValueError, match="not a file of tensors"):
        from_pth(saved(STATE)[:kept])
    with pytest.raises(ValueError, match="not a safetensors file"):
        from_safetensors(to_safetensors(STATE)[:kept])


def test_safetensors_file_whose_head_lies_is_refused() -> None:
    """A head of 2**60 bytes, and a tensor that reaches beyond the file."""
    head = b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
    for blob in (b"\xff" * 7 + b"\x0f{}", len(head).to_bytes(8, "little") + head):
        with pytest.raises(ValueError, match="not a safetensors file"):
            from_safetensors(blob)
    with pytest.raises(ValueError, match="holds no parameters"):
        from_safetensors(to_safetensors({}))
