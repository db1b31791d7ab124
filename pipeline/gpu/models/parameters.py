"""Bytes of a file -> parameters, without executing pickles, and parameters -> bytes of a safetensors file.

A `.pth` is a pickle, and a pickle is a program. torch's restricted unpickler builds tensors and refuses the rest. On
top of it a file may not claim more numbers than it has bytes for, which is how a small file fills a memory.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

PARAMETER_KEYS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Under which files keep their parameters, best first; a bare state dict is accepted too."""
WRAPPINGS = 2
"""A state dict may lie under a key within a key."""


def from_pth(blob: bytes) -> dict[str, Tensor]:
    """The parameters in a `.pth`, on the CPU, as the file has them.

    Raises `ValueError` for a file that holds anything but tensors; none of it is run.
    """
    _refuse_compressed(blob)
    try:
        content = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged or hostile file may make the reader raise anything at all, and all of it means the same.
        raise ValueError(f"not a file of tensors: {type(error).__name__}: {_words(error)}") from error
    return _checked(_unwrapped(content), len(blob))


def from_safetensors(blob: bytes) -> dict[str, Tensor]:
    """The parameters in a safetensors file, as it has them. Raises `ValueError` for a damaged one."""
    try:
        return _checked(load(blob), len(blob))
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"not a safetensors file: {_words(error)}") from error


def to_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The same tensors in the same formats; equal tensors give equal bytes. Raises `ValueError`."""
    try:
        # Tensors of a .pth may be views of one storage, which the format has no word for.
        return save({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()})
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"cannot be written as safetensors: {_words(error)}") from error


def float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is a fraction in float32; whole numbers, such as the index tables of attention, as they are."""
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _unwrapped(content: object) -> dict[str, Tensor]:
    for _ in range(WRAPPINGS):
        if not isinstance(content, dict):
            break
        content = next((content[key] for key in PARAMETER_KEYS if key in content), content)
    if isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): value for name, value in content.items()}
    raise ValueError(f"holds no parameters: must be a state dict, bare or under {' or '.join(PARAMETER_KEYS)}")


def _checked(tensors: dict[str, Tensor], file_bytes: int) -> dict[str, Tensor]:
    if not tensors:
        raise ValueError("holds no parameters: it is empty")
    if strange := [name for name, tensor in tensors.items() if tensor.layout is not torch.strided]:
        raise ValueError(f"{_shown(strange)}: must be a plain tensor")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > file_bytes:
        raise ValueError(f"its tensors claim {claimed} bytes, more than the {file_bytes} of the file")
    return tensors


def _refuse_compressed(blob: bytes) -> None:
    """torch stores what it writes; a compressed entry would be blown up before anything can be counted."""
    if not zipfile.is_zipfile(io.BytesIO(blob)):
        return
    try:
        entries = zipfile.ZipFile(io.BytesIO(blob)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"not a file of tensors: {_words(error)}") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("has compressed entries, which no file of weights has")


def _shown(names: Iterable[str]) -> str:
    return ", ".join(name[:100] for name in list(names)[:3])


def _words(error: Exception) -> str:
    return str(error)[:200]
