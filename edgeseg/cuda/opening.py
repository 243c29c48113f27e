"""Opens a GPU with whichever Python package is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edgeseg.cuda.cuda_python_driver import CudaPythonDriver
from edgeseg.cuda.driver import Driver, GpuInfo
from edgeseg.cuda.libcuda import probe
from edgeseg.cuda.pycuda_driver import PycudaDriver
from edgeseg.errors import BackendUnavailable, ConfigError
from edgeseg.validation import one_line

Kind = Literal["auto", "pycuda", "cuda-python"]

DRIVERS: dict[str, Callable[[GpuInfo], Driver]] = {
    "pycuda": PycudaDriver,
    "cuda-python": CudaPythonDriver,
}
"""By package, in the order ``auto`` tries them."""
BROKEN = (ImportError, OSError, RuntimeError, AttributeError)
"""What a package raises that is missing, for another CUDA, or for another numpy."""
OLDEST_SM = (5, 3)
"""Before it a GPU has no 16-bit floating point."""
EXTRA = "pip install 'edgeseg[tensorrt]', or pip install cuda-python"
ON_CPU = "choose --backend onnxruntime to run on the processor"


def open_driver(kind: Kind = "auto", gpu: int = 0) -> Driver:
    """Returns a GPU with its primary context retained; the caller closes it.

    Raises:
        BackendUnavailable: no NVIDIA driver or GPU, one too old, or no package that drives it.
        ConfigError: no GPU of this number; those there are are named.
    """
    found = choose_gpu(gpu)
    wanted = tuple(DRIVERS) if kind == "auto" else (kind,)
    failures = []
    for name in wanted:
        try:
            return DRIVERS[name](found)
        except BackendUnavailable as error:
            failures.append(f"{name}: {error}")
        except BROKEN as error:
            failures.append(f"{name}: {one_line(error)}")
    raise BackendUnavailable(f"cannot drive {found.name}: {'; '.join(failures)}; {EXTRA}")


def choose_gpu(number: int) -> GpuInfo:
    """Returns the GPU of a number. Raises as ``open_driver``."""
    seen = probe()
    if not seen.gpus:
        raise BackendUnavailable(f"{seen.problem}; {ON_CPU}")
    found = next((gpu for gpu in seen.gpus if gpu.index == number), None)
    if found is None:
        names = ", ".join(f"{gpu.index} {gpu.name}" for gpu in seen.gpus)
        raise ConfigError(f"there is no GPU {number}; this machine has {names}")
    if found.sm < OLDEST_SM:
        have, need = (f"sm_{major}{minor}" for major, minor in (found.sm, OLDEST_SM))
        raise BackendUnavailable(
            f"GPU {number}, {found.name}, is too old: {have}, needed {need} or newer; {ON_CPU}"
        )
    return found
