"""A GPU through NVIDIA's cuda-python (``cuda.bindings``)."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeseg.cuda.compile import compile_for
from edgeseg.cuda.driver import Argument, GpuInfo
from edgeseg.cuda.graphs import Graphs
from edgeseg.cuda.libcuda import check, cuda_error
from edgeseg.cuda.waits import Waits
from edgeseg.validation import one_line

NON_BLOCKING = 1
"""Stream flag: does not wait for the default stream."""


class CudaPythonDriver:
    """One GPU's primary context, by cuda.bindings. ``Driver`` says what its methods promise."""

    name = "cuda-python"

    def __init__(self, gpu: GpuInfo) -> None:
        """Raises ImportError where cuda-python, or a driver for it, is missing."""
        self.gpu = gpu
        self._cuda = _bindings()
        self._graphs, self._waits = Graphs(), Waits()
        self._lock = threading.Lock()
        self._memory: set[int] = set()
        self._pinned: set[int] = set()
        self._streams: set[int] = set()
        self._events: dict[int, Any] = {}
        self._modules: dict[bytes, Any] = {}
        self._functions: list[Any] = []
        self._closed = False
        self._call("opening the GPU", "cuInit", 0)
        self._device = self._call("opening the GPU", "cuDeviceGet", gpu.index)
        self._context = self._call("opening the GPU", "cuDevicePrimaryCtxRetain", self._device)

    def _call(self, doing: str, name: str, *arguments: object) -> Any:
        """Calls the driver, raises what its result stands for, and returns what it gives."""
        try:
            result, *values = getattr(self._cuda, name)(*arguments)
        except RuntimeError as error:  # the driver is older than the package and lacks it
            said = f"{one_line(error)}; install the cuda-python of its version"
            raise cuda_error(said, doing, out_of_memory=False) from error
        check(int(result), doing)
        return values[0] if values else None

    @contextmanager
    def current(self) -> Iterator[None]:
        self._call("making its context current", "cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._cuda.cuCtxPopCurrent()

    def alloc(self, size: int) -> int:
        address = int(self._call(f"allocating {size / 2**20:.1f} MiB", "cuMemAlloc", size))
        self._memory.add(address)
        return address

    def free(self, address: int) -> None:
        self._memory.remove(address)
        self._call("freeing memory", "cuMemFree", address)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        address = int(self._call("locking host memory", "cuMemHostAlloc", max(size, 1), 0))
        self._pinned.add(address)
        memory = (ctypes.c_ubyte * size).from_address(address)
        array: NDArray[Any] = np.frombuffer(memoryview(memory), np.uint8).view(kind)
        return array.reshape(shape)

    def free_pinned(self, array: NDArray[Any]) -> None:
        self._pinned.remove(array.ctypes.data)
        self._call("freeing host memory", "cuMemFreeHost", array.ctypes.data)

    def stream(self) -> int:
        handle = int(self._call("opening a stream", "cuStreamCreate", NON_BLOCKING))
        self._streams.add(handle)
        return handle

    def close_stream(self, stream: int) -> None:
        self._streams.remove(stream)
        self._waits.forget(stream)
        self._call("closing a stream", "cuStreamSynchronize", stream)
        self._call("closing a stream", "cuStreamDestroy", stream)

    def upload(self, address: int, source: NDArray[np.generic], stream: int) -> None:
        place = source.ctypes.data
        self._call("uploading", "cuMemcpyHtoDAsync", address, place, source.nbytes, stream)

    def download(self, target: NDArray[np.generic], address: int, stream: int) -> None:
        place = target.ctypes.data
        self._call("downloading", "cuMemcpyDtoHAsync", place, address, target.nbytes, stream)

    def synchronize(self, stream: int) -> None:
        self._waits.wait(stream)

    def event(self) -> int:
        event = self._call("making an event", "cuEventCreate", 0)
        self._events[int(event)] = event
        return int(event)

    def close_event(self, event: int) -> None:
        self._call("freeing an event", "cuEventDestroy", self._events.pop(event))

    def record(self, event: int, stream: int) -> None:
        self._call("recording an event", "cuEventRecord", self._events[event], stream)

    def elapsed_ms(self, start: int, end: int) -> float:
        first, last = self._events[start], self._events[end]
        self._call("waiting for an event", "cuEventSynchronize", last)
        return float(self._call("reading an event", "cuEventElapsedTime", first, last))

    def compile(self, source: str) -> bytes:
        return compile_for(self.gpu, source)

    def function(self, image: bytes, name: str) -> int:
        doing = f"loading kernel {name!r}"
        with self._lock:
            if image not in self._modules:
                self._modules[image] = self._call(doing, "cuModuleLoadData", image)
            module = self._modules[image]
            self._functions.append(self._call(doing, "cuModuleGetFunction", module, name.encode()))
            return len(self._functions) - 1

    def launch(
        self,
        function: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: int,
    ) -> None:
        values = [np.array(argument) for argument in arguments]
        places = np.array([value.ctypes.data for value in values], np.uint64)
        kernel, given = self._functions[function], places.ctypes.data
        doing = "launching a kernel"
        self._call(doing, "cuLaunchKernel", kernel, *grid, *block, 0, stream, given, 0)

    def begin_capture(self, stream: int) -> None:
        self._graphs.begin(stream)

    def end_capture(self, stream: int) -> int:
        return self._graphs.end(stream)

    def launch_graph(self, graph: int, stream: int) -> None:
        self._graphs.launch(graph, stream)

    def close_graph(self, graph: int) -> None:
        self._graphs.destroy(graph)

    def close(self) -> None:
        """Frees what is left while the context is current, then lets it go. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with self.current():
            self._graphs.close()
            for event in list(self._events):
                self.close_event(event)
            for address in self._pinned:
                self._call("freeing host memory", "cuMemFreeHost", address)
            for address in self._memory:
                self._call("freeing memory", "cuMemFree", address)
            for module in self._modules.values():
                self._call("unloading kernels", "cuModuleUnload", module)
            for stream in list(self._streams):
                self.close_stream(stream)
        self._call("letting the context go", "cuDevicePrimaryCtxRelease", self._device)


def _bindings() -> Any:
    """Returns the driver module; before 12.6 it had another name."""
    try:
        return import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        return import_module("cuda.cuda")
