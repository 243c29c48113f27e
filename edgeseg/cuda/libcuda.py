"""The NVIDIA driver's C library by ctypes: which GPUs there are, and what its errors are called.

It needs no Python package, and no driver either: without one there are no GPUs.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import lru_cache

from edgeseg.cuda.driver import GpuInfo
from edgeseg.errors import BackendUnavailable, EdgesegError, ModelError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
SM_MAJOR, SM_MINOR = 75, 76
"""Numbers of the device attributes, as in cuda.h."""
OUT_OF_MEMORY = 2


@dataclass(frozen=True, slots=True)
class Probe:
    """GPUs the driver runs, and in one line why there are none."""

    gpus: tuple[GpuInfo, ...]
    problem: str = ""


@lru_cache(maxsize=1)
def libcuda() -> ctypes.CDLL | None:
    """Returns the driver's library, None on a machine without one."""
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def gpus() -> tuple[GpuInfo, ...]:
    """Returns the GPUs the driver runs, in its order; none without a driver."""
    return probe().gpus


def probe() -> Probe:
    """Asks the driver for its GPUs: no context is made, but the first time takes a moment."""
    lib = libcuda()
    if lib is None:
        return Probe((), f"no NVIDIA driver: {LIBRARY} is missing")
    try:
        code = lib.cuInit(0)
        if code:
            return Probe((), f"the NVIDIA driver does not start: {error_name(code)}")
        return _found(lib)
    except AttributeError as error:  # a stub, or a library of another kind
        return Probe((), f"{LIBRARY} is no usable NVIDIA driver: {error}")


def _found(lib: ctypes.CDLL) -> Probe:
    count, version = ctypes.c_int(), ctypes.c_int()
    code = lib.cuDeviceGetCount(ctypes.byref(count)) or lib.cuDriverGetVersion(
        ctypes.byref(version)
    )
    if code:
        return Probe((), f"the NVIDIA driver names no GPU: {error_name(code)}")
    cuda = version.value // 1000, version.value % 1000 // 10
    found = tuple(gpu for gpu in (_gpu(lib, n, cuda) for n in range(count.value)) if gpu)
    return Probe(found, "" if found else "the NVIDIA driver finds no GPU")


def _gpu(lib: ctypes.CDLL, number: int, cuda: tuple[int, int]) -> GpuInfo | None:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    failed = (
        lib.cuDeviceGet(ctypes.byref(device), number)
        or lib.cuDeviceGetName(name, len(name), device)
        or lib.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        or lib.cuDeviceGetAttribute(ctypes.byref(major), SM_MAJOR, device)
        or lib.cuDeviceGetAttribute(ctypes.byref(minor), SM_MINOR, device)
    )
    if failed:
        return None
    text = name.value.decode("utf-8", "replace")
    return GpuInfo(number, text, (major.value, minor.value), memory.value, cuda)


def error_name(code: int) -> str:
    """Returns ``CUDA_ERROR_NO_DEVICE (100)``, or the bare number of an unknown error."""
    text, lib = ctypes.c_char_p(), libcuda()
    if lib is None or lib.cuGetErrorName(code, ctypes.byref(text)) or not text.value:
        return f"CUDA error {code}"
    return f"{text.value.decode()} ({code})"


def check(code: int, doing: str) -> None:
    """Raises what a driver call's result stands for; 0 is success. doing: "launching a kernel"."""
    if code:
        raise cuda_error(error_name(code), doing, out_of_memory=code == OUT_OF_MEMORY)


def cuda_error(said: str, doing: str, *, out_of_memory: bool) -> EdgesegError:
    """Returns the error for a failed call. said: the driver's own words."""
    if out_of_memory:
        return ModelError(
            f"the GPU's memory ran out {doing}: {said}; close other programs on it, or use fewer "
            "workers or a smaller model"
        )
    return BackendUnavailable(f"the GPU failed {doing}: {said}")
