"""NVIDIA GPUs: driver, TensorRT, what drives it from Python, JetPack, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from edgeseg import device
from edgeseg.cuda import GpuInfo, probe
from edgeseg.cuda.compile import compile_for
from edgeseg.cuda.kernels import SOURCE
from edgeseg.doctor.finding import Finding
from edgeseg.engine.library import INSTALL, MODULES, load_library
from edgeseg.engine.request import sm_name
from edgeseg.engine.support import JetPack, jetpack_name, jetpack_of, l4t_release, minimum_sm
from edgeseg.errors import BackendUnavailable

GROUP = "GPU"
PYTHON_DRIVERS = {"pycuda": "pycuda.driver", "cuda-python": "cuda.bindings.driver"}
EXTRA = "pip install 'edgeseg[tensorrt]'"


def gpu() -> Iterator[Finding]:
    """Looks at drivers and GPUs, and at what TensorRT needs where there is one, or is installed."""
    seen = probe()
    yield from _driver(seen.gpus, seen.problem)
    first = seen.gpus[0] if seen.gpus else None
    for name in MODULES:
        yield from _tensorrt(name, first)
    if first is not None:
        yield from _python_drivers()
        yield _kernels(first)
    l4t = l4t_release()
    if l4t:
        yield _jetpack(l4t, jetpack_of(l4t))


def _driver(gpus: tuple[GpuInfo, ...], problem: str) -> Iterator[Finding]:
    for found in gpus:
        cuda = "{}.{}".format(*found.driver_cuda)
        memory = f"{found.memory / 2**30:.0f} GiB"
        detail = f"{found.name}, {sm_name(found.sm)}, {memory}, driver runs CUDA up to {cuda}"
        yield Finding(GROUP, f"NVIDIA {found.index}", "ok", detail)
    if gpus:
        return
    card = device.gpu_name()
    if card is None:
        yield Finding(GROUP, "NVIDIA", "ok", "no NVIDIA GPU: runs on the processor")
        return
    mend = "in a container pass --gpus all (Jetson: --runtime nvidia); else install NVIDIA's driver"
    yield Finding(GROUP, "NVIDIA", "note", f"{card}, but {problem}", mend)


def _tensorrt(name: str, gpu: GpuInfo | None) -> Iterator[Finding]:
    """Looks at TensorRT or TensorRT-RTX where it is installed, or could be used."""
    title = "TensorRT-RTX" if name == "tensorrt-rtx" else "TensorRT"
    installed = any(find_spec(module) is not None for module in MODULES[name])
    if not installed and (gpu is None or name == "tensorrt-rtx"):
        return
    try:
        library = load_library(name)
    except BackendUnavailable as error:
        mend = "" if INSTALL[name] in str(error) else str(error).rpartition(": ")[2]
        yield Finding(GROUP, title, "note", str(error), mend or INSTALL[name])
        return
    problem = "" if gpu is None else _disagreement(name, library.version, gpu)
    if problem:
        yield Finding(GROUP, title, "note", f"{library.version}, but {problem}", INSTALL[name])
    else:
        without = "" if gpu is not None else " (needs a GPU to run)"
        yield Finding(GROUP, title, "ok", f"{library.version}{without}")


def _disagreement(name: str, version: str, gpu: GpuInfo) -> str:
    """Returns why a TensorRT and a GPU with its driver do not go together, "" if they do."""
    oldest = minimum_sm(name, version)
    if gpu.sm < oldest:
        return f"it needs {sm_name(oldest)} or newer and {gpu.name} is {sm_name(gpu.sm)}"
    packages = [f"{name.replace('-', '_')}_cu{major}" for major in (13, 12, 11)]
    built = next((p for p in packages if device.package_version(p) is not None), "")
    major = re.search(r"cu(\d+)$", built)
    if major and int(major.group(1)) > gpu.driver_cuda[0]:
        runs = "{}.{}".format(*gpu.driver_cuda)
        return f"{built} is for CUDA {major.group(1)} and the driver runs CUDA {runs}: update one"
    return ""


def _python_drivers() -> Iterator[Finding]:
    """One of the two packages is needed; one that is installed must also load."""
    working = 0
    for name, module in PYTHON_DRIVERS.items():
        version = device.package_version(name)
        if version is None and name == "cuda-python":
            version = device.package_version("cuda-bindings")
        if version is None:
            continue
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            detail = f"{version}, but does not load: {' '.join(str(error).split())}"
            yield Finding(GROUP, name, "note", detail, f"pip install --force-reinstall {name}")
            continue
        working += 1
        yield Finding(GROUP, name, "ok", version)
    if not working:
        detail = "neither pycuda nor cuda-python drives the GPU from Python"
        yield Finding(GROUP, "CUDA in Python", "note", detail, EXTRA)


def _kernels(gpu: GpuInfo) -> Finding:
    """Compiles the kernels that every GPU backend needs, or takes them from the cache."""
    try:
        compile_for(gpu, SOURCE.read_text(encoding="utf-8"))
    except BackendUnavailable as error:
        detail, _, mend = str(error).rpartition(". ")
        return Finding(GROUP, "CUDA kernels", "note", detail or mend, mend if detail else "")
    return Finding(GROUP, "CUDA kernels", "ok", f"compiled for {sm_name(gpu.sm)}")


def _jetpack(l4t: str, row: JetPack | None) -> Finding:
    """What is known of this Jetson's JetPack; the table is NVIDIA's, nothing of it ran on one."""
    name = jetpack_name(l4t)
    if row is None:
        mend = "install JetPack 6 or newer (sudo apt install nvidia-jetpack)"
        return Finding(GROUP, "JetPack", "note", f"{name}: older than edgeseg knows", mend)
    detail = f"{name}: TensorRT {row.tensorrt}, CUDA {row.cuda}; {row.edgeseg}; DLA: {row.dla}"
    if "too old" in row.edgeseg:
        return Finding(GROUP, "JetPack", "note", detail, "install JetPack 6 or newer")
    return Finding(GROUP, "JetPack", "ok", detail)
