"""Importing ONNX Runtime: it reports to nobody, and what it raises is known.

Imports nothing of others itself: doctor uses it where half an installation is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeseg.errors import BackendUnavailable


def import_ort() -> Any:
    """Returns the onnxruntime module. Raises BackendUnavailable where it cannot be imported."""
    try:
        with telemetry_off():
            import onnxruntime
    except ImportError as error:
        why = " ".join(str(error).split())
        raise BackendUnavailable(
            f"onnxruntime is not usable here: {why}; pip install onnxruntime"
        ) from error
    return onnxruntime


@contextmanager
def telemetry_off() -> Iterator[None]:
    """Keeps an ONNX Runtime imported meanwhile from reporting to its maker.

    Since 1.31 its Linux builds, too, keep a device id in the user's cache folder and send usage
    events; they read this variable once, when they are loaded.
    """
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def ort_errors() -> tuple[type[Exception], ...]:
    """Returns ONNX Runtime's exceptions; they share no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type)]
    own = [kind for kind in found if issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)  # its binding raises these for bad dtypes and names
