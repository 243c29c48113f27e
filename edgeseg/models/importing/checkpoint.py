"""The tensors of a published checkpoint, read without ever running what else it may hold."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgeseg.errors import ModelError

State = dict[str, Tensor]

WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training scripts keep the state of the network."""
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+) (?:was not an allowed global|whose module)")
_UNREADABLE = (RuntimeError, TypeError, EOFError, UnpicklingError, ValueError, KeyError, IndexError)
_ADVICE = "save the weights alone: torch.save(model.state_dict(), path)"


def read_state(path: Path) -> State:
    """The named tensors of a checkpoint, float32, without wrappers and `module.` prefixes.

    Raises: ModelError for a file that is missing, no checkpoint, damaged, or holds more than data.
    """
    try:
        with _quiet(), _numpy_scalars():
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot read the checkpoint: {error.strerror}") from error
    except _UNREADABLE as error:
        raise ModelError(f"{path}: {_reason(path, str(error))}") from error
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in _unwrapped(loaded, path).items()
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise ModelError(f"{path}: holds no tensors; expected the state dict of a network")
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _unwrapped(loaded: object, path: Path) -> Mapping[str, Any]:
    for _ in range(len(WRAPPERS)):
        if not isinstance(loaded, Mapping):
            break
        inner = next((loaded[key] for key in WRAPPERS if key in loaded), None)
        if not isinstance(inner, Mapping):
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
        raise ModelError(
            f"{path}: holds a {type(loaded).__name__}, expected a mapping of names to tensors; "
            f"{_ADVICE}"
        )
    return loaded


def _reason(path: Path, said: str) -> str:
    """What is wrong with a file that `torch.load` refused."""
    forbidden = _FORBIDDEN.search(said)
    if forbidden:
        return (
            f"holds objects as well as tensors ({forbidden[1]}), and loading those could run any "
            f"code; where you trust the file, {_ADVICE}"
        )
    if "TorchScript" in said:
        return f"is a TorchScript program, expected a state dict; {_ADVICE}"
    if zipfile.is_zipfile(path):
        return "is a zip archive, but not a PyTorch checkpoint"
    return "is not a PyTorch checkpoint, or damaged; fetch it again"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remarks on pickle protocols; what matters is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _numpy_scalars() -> Any:
    """Lets through the score that VainF's checkpoints keep beside the weights, a NumPy number."""
    allow = getattr(torch.serialization, "safe_globals", None)  # PyTorch 2.5
    if allow is None:
        return nullcontext()
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in ("f4", "f8", "i8")}
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return allow([np.dtype, *kinds, *((scalar, name) for name in names)])
