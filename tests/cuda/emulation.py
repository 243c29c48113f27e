"""CUDA without a GPU: the kernels compiled for the processor, and a driver library of our own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeseg

HERE = Path(__file__).parent
KERNELS = Path(edgeseg.__file__).parent / "cuda" / "kernels.cu"
COUNTS = (
    "memory", "pinned", "streams", "events", "modules", "graphs", "runnable graphs",
    "references", "wrong calls", "depth",
)  # fmt: skip
"""What the stub counts, in its order."""


@lru_cache(maxsize=1)
def build_folder() -> Path:
    """A folder for libraries of this test run."""
    return Path(mkdtemp(prefix="edgeseg-emulation-", dir=gettempdir()))


def compiler(name: str) -> str:
    """A C or C++ compiler, or a skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@lru_cache(maxsize=1)
def emulator() -> Path:
    """kernels.cu as a library for this processor."""
    out = build_folder() / "libemulated.so"
    flags = ["-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
    named = f'-DKERNELS="{KERNELS}"'
    source = str(HERE / "emulated_kernels.cpp")
    subprocess.run([compiler("g++"), *flags, named, source, "-o", str(out)], check=True)
    return out


@lru_cache(maxsize=1)
def stub_folder() -> Path:
    """A folder with our libcuda.so.1; kernels launched on it run on the processor."""
    folder, kernels = build_folder(), emulator()
    missing = folder / "missing.c"
    missing.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in _unknown()))
    command = [compiler("gcc"), "-O1", "-shared", "-fPIC", "-Wall", "-Werror"]
    command += ["-Wl,-soname,libcuda.so.1", "-Wl,--no-as-needed", f"-Wl,-rpath,{folder}"]
    command += [str(HERE / "stub_libcuda.c"), str(missing), str(kernels), "-lpthread"]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], check=True)
    return folder


def _unknown() -> list[str]:
    """Functions that pycuda was linked to and our library does not have: it would not load."""
    spec, nm = find_spec("pycuda"), shutil.which("nm")
    if spec is None or nm is None or not spec.submodule_search_locations:
        return []
    needed: set[str] = set()
    for library in Path(spec.submodule_search_locations[0]).glob("_driver*.so"):
        listed = subprocess.run(
            [nm, "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True
        )
        needed |= {word for word in listed.stdout.split() if word.startswith("cu")}
    return sorted(needed - _defined(nm))


def _defined(nm: str) -> set[str]:
    out = build_folder() / "stub.o"
    source = str(HERE / "stub_libcuda.c")
    subprocess.run([compiler("gcc"), "-c", "-fPIC", source, "-o", str(out)], check=True)
    listed = subprocess.run([nm, str(out)], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in listed.stdout.splitlines() if " T " in line}


def stub_environment(**settings: object) -> dict[str, str]:
    """The environment of a process whose libcuda.so.1 is ours; settings: of the stub."""
    told = {f"STUB_CUDA_{name.upper()}": str(value) for name, value in settings.items()}
    path = os.pathsep.join(filter(None, [str(stub_folder()), os.environ.get("LD_LIBRARY_PATH")]))
    return {**os.environ, **told, "LD_LIBRARY_PATH": path}


def stub_counts() -> dict[str, int]:
    """What the stub of this process holds."""
    counts = (ctypes.c_int * len(COUNTS))()
    ctypes.CDLL("libcuda.so.1").stub_counts(counts)
    return dict(zip(COUNTS, counts, strict=True))


def stub_forgive() -> int:
    """Forgets the wrong calls so far and returns how many there were."""
    forgiven: int = ctypes.CDLL("libcuda.so.1").stub_forgive()
    return forgiven


_kept: list[object] = []


def put_on_stub(stream: int, work: Callable[[], None]) -> None:
    """Puts a Python call on a stream of the stub, where a graph records it."""
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: work())
    _kept.append(call)  # a graph may replay it
    library = ctypes.CDLL("libcuda.so.1")
    assert library.cuLaunchHostFunc(ctypes.c_void_p(stream), call, None) == 0


def emulate(
    name: str, pixels: tuple[int, int], block: tuple[int, int], arrays: Sequence[NDArray[Any]]
) -> None:
    """Runs a kernel on the processor over at least this many pixels, with arrays as arguments."""
    library = ctypes.CDLL(str(emulator()))
    grid = [-(-length // side) for length, side in zip(pixels, block, strict=True)]
    addresses = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    given = (ctypes.c_void_p * 4)(*(ctypes.addressof(address) for address in addresses))
    sides = [(ctypes.c_uint * 3)(*sides, 1) for sides in (grid, block)]
    assert library.edgeseg_emulate(name.encode(), *sides, given) == 0, f"no kernel {name}"


def half_tables() -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """The emulation's own conversions: every half as float32, and those back as halves."""
    library = ctypes.CDLL(str(emulator()))
    library.edgeseg_from_half.restype = ctypes.c_float
    library.edgeseg_to_half.restype = ctypes.c_ushort
    library.edgeseg_to_half.argtypes = [ctypes.c_float]
    values = [library.edgeseg_from_half(ctypes.c_ushort(n)) for n in range(65536)]
    back = [library.edgeseg_to_half(value) for value in values]
    return np.array(values, np.float32), np.array(back, np.uint16)
