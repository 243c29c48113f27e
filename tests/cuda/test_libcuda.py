"""GPUs and graphs by ctypes alone, on a stub of the driver's library."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from emulation import stub_environment

from edgeseg.cuda import gpus, open_driver, probe
from edgeseg.cuda.libcuda import LIBRARY, check, error_name
from edgeseg.cuda.opening import DRIVERS
from edgeseg.errors import BackendUnavailable, ModelError

HERE = Path(__file__).parent


def has_driver() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def on_stub(code: str, **settings: object) -> str:
    """What a process with our libcuda.so.1 prints; a BackendUnavailable or ConfigError is its name.

    Packages that drive a GPU are hidden from it.
    """
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['pycuda', 'pycuda.driver', 'cuda', 'cuda.bindings']))\n"
        "from edgeseg.errors import EdgesegError\n"
        "from edgeseg.cuda import gpus, open_driver, probe\n"
        f"try:\n    {code}\nexcept EdgesegError as error:\n"
        "    print(type(error).__name__, error, sep=': ')\n"
    )
    environment = stub_environment(**settings)
    environment["PYTHONPATH"] = f"{HERE}{os.pathsep}{HERE.parents[1]}"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout.strip()


@pytest.mark.skipif(has_driver(), reason="this machine has a driver")
def test_without_a_driver_there_are_no_gpus() -> None:
    assert gpus() == ()
    assert probe().problem == "no NVIDIA driver: libcuda.so.1 is missing"
    with pytest.raises(BackendUnavailable) as caught:
        open_driver()
    assert str(caught.value) == (
        "no NVIDIA driver: libcuda.so.1 is missing; choose --backend onnxruntime to run on the "
        "processor"
    )
    assert error_name(2) == "CUDA error 2"


def test_gpus_are_listed() -> None:
    found = on_stub("print(*gpus(), sep='|')", devices=2, sm=87, memory=8 << 30)
    expected = "GpuInfo(index={0}, name='Stub GPU {0}', sm=(8, 7), memory=8589934592, "
    assert found == "|".join(expected.format(n) + "driver_cuda=(13, 0))" for n in (0, 1))


def test_a_driver_that_does_not_start() -> None:
    found = on_stub("print(gpus(), probe().problem)", init=100)
    assert found == "() the NVIDIA driver does not start: CUDA_ERROR_NO_DEVICE (100)"
    opened = on_stub("open_driver()", init=100)
    assert opened.startswith("BackendUnavailable: the NVIDIA driver does not start: CUDA_ERROR_NO")


def test_a_driver_without_gpus() -> None:
    assert on_stub("print(gpus(), probe().problem)", devices=0) == (
        "() the NVIDIA driver finds no GPU"
    )


def test_a_number_that_is_too_high() -> None:
    assert on_stub("open_driver(gpu=3)", devices=2) == (
        "ConfigError: there is no GPU 3; this machine has 0 Stub GPU 0, 1 Stub GPU 1"
    )


def test_a_gpu_that_is_too_old() -> None:
    assert on_stub("open_driver()", sm=52).startswith(
        "BackendUnavailable: GPU 0, Stub GPU 0, is too old: sm_52, needed sm_53 or newer; choose"
    )


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("auto", ("pycuda", "cuda-python")),
        ("pycuda", ("pycuda",)),
        ("cuda-python", ("cuda-python",)),
    ],
)
def test_a_missing_package_is_named(kind: str, named: tuple[str, ...]) -> None:
    said = on_stub(f"open_driver({kind!r})")
    assert said.startswith("BackendUnavailable: cannot drive Stub GPU 0: ")
    assert said.endswith("pip install 'edgeseg[tensorrt]', or pip install cuda-python")
    assert all((f"{package}: " in said) == (package in named) for package in DRIVERS)


def test_a_library_that_is_no_driver(tmp_path: Path) -> None:
    source = tmp_path / "nothing.c"
    source.write_text("int nothing(void) { return 0; }\n")
    library = tmp_path / "libcuda.so.1"
    try:
        subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    except FileNotFoundError:
        pytest.skip("gcc is not installed")
    run = subprocess.run(
        [sys.executable, "-c", "from edgeseg.cuda import probe; print(probe().problem)"],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "libcuda.so.1 is no usable NVIDIA driver: " in run.stdout


def test_errors_say_what_was_done() -> None:
    check(0, "waiting")
    with pytest.raises(BackendUnavailable, match="the GPU failed waiting: CUDA"):
        check(999, "waiting")
    with pytest.raises(ModelError, match=r"the GPU's memory ran out allocating 3 MiB: .*; close"):
        check(2, "allocating 3 MiB")


GRAPHS = """exec('''
import ctypes
from emulation import stub_counts
from edgeseg.cuda.graphs import Graphs
from edgeseg.errors import BackendUnavailable
cuda = ctypes.CDLL('libcuda.so.1')
P = ctypes.c_void_p
context, stream, device, host = P(), P(), ctypes.c_ulonglong(), P()
cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
cuda.cuCtxPushCurrent_v2(context)
cuda.cuStreamCreate(ctypes.byref(stream), 1)
cuda.cuMemAlloc_v2(ctypes.byref(device), 64)
cuda.cuMemHostAlloc(ctypes.byref(host), 64, 0)
ctypes.memset(host.value, 7, 64)
graphs = Graphs()
graphs.begin(stream.value)
assert cuda.cuMemcpyHtoDAsync_v2(device, host, 64, stream) == 0
try:
    graph = graphs.end(stream.value)
except BackendUnavailable as error:
    print(error)
else:
    ctypes.memset(device.value, 0, 64)
    graphs.launch(graph, stream.value)
    print(bytes((ctypes.c_ubyte * 3).from_address(device.value)))
    ctypes.memset(host.value, 9, 64)
    graphs.launch(graph, stream.value)
    print(bytes((ctypes.c_ubyte * 3).from_address(device.value)))
    graphs.begin(stream.value)
    graphs.destroy(graphs.end(stream.value))
graphs.close()
counts = stub_counts()
print(counts['graphs'], counts['runnable graphs'], counts['wrong calls'])
''')"""


def test_graphs_are_recorded_replayed_and_freed() -> None:
    out = on_stub(GRAPHS).splitlines()
    assert out == [r"b'\x07\x07\x07'", r"b'\t\t\t'", "0 0 0"]


def test_a_spoilt_graph_is_an_error() -> None:
    out = on_stub(GRAPHS, no_capture=1).splitlines()
    assert out == [
        "the GPU failed ending a capture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901)",
        "0 0 0",
    ]


@pytest.mark.gpu
def test_a_gpu_is_found() -> None:
    if not gpus():
        pytest.skip("no NVIDIA GPU")
    gpu = gpus()[0]
    assert gpu.sm >= (5, 0)
    assert gpu.memory > 1 << 30
    assert find_spec("edgeseg") is not None
