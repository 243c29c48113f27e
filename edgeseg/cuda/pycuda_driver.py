"""A GPU through pycuda.

pycuda's objects free themselves, and can do so only where their context is current: all are kept
here until they are freed on purpose. It has no CUDA graphs; ``graphs`` has.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeseg.cuda.compile import compile_for
from edgeseg.cuda.driver import Argument, GpuInfo
from edgeseg.cuda.graphs import Graphs
from edgeseg.cuda.libcuda import LIBRARY, check, cuda_error
from edgeseg.cuda.waits import Waits
from edgeseg.validation import one_line

NON_BLOCKING = 1
"""Stream flag: does not wait for the default stream."""


class PycudaDriver:
    """One GPU's primary context, by pycuda. ``Driver`` says what its methods promise."""

    name = "pycuda"

    def __init__(self, gpu: GpuInfo) -> None:
        """Raises ImportError where pycuda, or a driver for it, is missing."""
        import pycuda.driver as cuda  # not autoinit: it pushes a context of its own and keeps it

        self.gpu = gpu
        self._cuda: Any = cuda
        self._graphs, self._waits = Graphs(), Waits()
        self._lock = threading.Lock()
        self._memory: dict[int, Any] = {}
        self._pinned: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._modules: dict[bytes, Any] = {}
        self._functions: list[Any] = []
        self._closed = False
        with self._saying("opening the GPU"):
            cuda.init()
            self._context: Any = cuda.Device(gpu.index).retain_primary_context()
        atexit.register(self.close)  # pycuda complains of a context that is left, or aborts

    @contextmanager
    def _saying(self, doing: str) -> Iterator[None]:
        """Turns pycuda's errors into ours."""
        try:
            yield
        except self._cuda.MemoryError as error:
            raise cuda_error(one_line(error), doing, out_of_memory=True) from error
        except self._cuda.Error as error:
            raise cuda_error(one_line(error), doing, out_of_memory=False) from error

    @contextmanager
    def current(self) -> Iterator[None]:
        with self._saying("making its context current"):
            self._context.push()
        try:
            yield
        finally:
            with self._saying("leaving its context"):
                self._context.pop()

    def alloc(self, size: int) -> int:
        with self._saying(f"allocating {size / 2**20:.1f} MiB"):
            block = self._cuda.mem_alloc(size)
        self._memory[int(block)] = block
        return int(block)

    def free(self, address: int) -> None:
        with self._saying("freeing memory"):
            self._memory.pop(address).free()

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        with self._saying("locking host memory"):
            array: NDArray[Any] = self._cuda.pagelocked_empty(shape, dtype)
        self._pinned[array.ctypes.data] = array.base
        return array

    def free_pinned(self, array: NDArray[Any]) -> None:
        with self._saying("freeing host memory"):
            self._pinned.pop(array.ctypes.data).free()

    def stream(self) -> int:
        with self._saying("opening a stream"):
            stream = self._cuda.Stream(flags=NON_BLOCKING)
        self._streams[stream.handle] = stream
        handle: int = stream.handle
        return handle

    def close_stream(self, stream: int) -> None:
        self._waits.forget(stream)
        with self._saying("closing a stream"):
            self._streams.pop(stream).synchronize()

    def upload(self, address: int, source: NDArray[np.generic], stream: int) -> None:
        with self._saying("uploading"):
            self._cuda.memcpy_htod_async(address, source, self._streams[stream])

    def download(self, target: NDArray[np.generic], address: int, stream: int) -> None:
        with self._saying("downloading"):
            self._cuda.memcpy_dtoh_async(target, address, self._streams[stream])

    def synchronize(self, stream: int) -> None:
        self._waits.wait(stream)

    def event(self) -> int:
        with self._saying("making an event"):
            event = self._cuda.Event()
        self._events[id(event)] = event  # it tells no handle of its own
        return id(event)

    def close_event(self, event: int) -> None:
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        with self._saying("recording an event"):
            self._events[event].record(self._streams[stream])

    def elapsed_ms(self, start: int, end: int) -> float:
        with self._saying("waiting for an event"):
            self._events[end].synchronize()
            return float(self._events[end].time_since(self._events[start]))

    def compile(self, source: str) -> bytes:
        return compile_for(self.gpu, source)

    def function(self, image: bytes, name: str) -> int:
        with self._lock, self._saying(f"loading kernel {name!r}"):
            if image not in self._modules:
                self._modules[image] = self._cuda.module_from_buffer(image)
            function = self._modules[image].get_function(name)
            function.prepare("")
            self._functions.append([function, ""])
            return len(self._functions) - 1

    def launch(
        self,
        function: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: int,
    ) -> None:
        kernel, prepared = self._functions[function]
        form = "".join(argument.dtype.char for argument in arguments)
        with self._saying("launching a kernel"):
            if form != prepared:
                kernel.prepare(form)
                self._functions[function][1] = form
            kernel.prepared_async_call(grid, block, self._streams[stream], *arguments)

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
        atexit.unregister(self.close)
        with self._saying("letting go"), _held(self.gpu.index) as library:
            self._context.push()
            self._graphs.close()
            self._waits.close()
            self._events.clear()
            for blocks in (self._pinned, self._memory):
                while blocks:
                    blocks.popitem()[1].free()
            self._functions.clear()
            self._modules.clear()
            self._streams.clear()
            self._context.detach()  # where it is not current, another thread's is never released
            library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))  # detach leaves it there


@contextmanager
def _held(gpu: int) -> Iterator[ctypes.CDLL]:
    """Keeps the primary context alive until it is off the thread's stack."""
    library, device = ctypes.CDLL(LIBRARY), ctypes.c_int()
    check(library.cuDeviceGet(ctypes.byref(device), gpu), "finding it")
    check(library.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), device), "holding it")
    try:
        yield library
    finally:
        library.cuDevicePrimaryCtxRelease_v2(device)
