"""A GPU made of host memory: addresses are real, so that ONNX Runtime can be bound to them.

Work put on a stream is done when somebody waits for it, so that a missing wait shows. A graph
replays the work recorded. Misuse is an AssertionError: a call without the context current on its
thread, an address that was never given, a second free, an unpinned copy into a graph, work on a
closed stream.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
from fake_kernels import KERNELS
from numpy.typing import DTypeLike, NDArray

from edgeseg.cuda.driver import Argument, GpuInfo
from edgeseg.errors import BackendUnavailable, ModelError

ALIGNMENT = 256
Work = Callable[[], None]

_handles = itertools.count(0x7000)
_contexts = threading.local()
_streams: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def put(stream: int, work: Work) -> None:
    """Puts work on a fake stream, as an enqueued network does; a graph records it."""
    driver: FakeDriver = _streams[stream]
    driver.put(stream, work)


def is_captured(stream: int) -> bool:
    """Says whether a fake stream is being recorded."""
    return stream in _streams[stream]._capturing


def need_context() -> None:
    """What TensorRT does with a GPU, it does in the context that is current on the thread."""
    assert getattr(_contexts, "depth", 0) > 0, "no context is current on this thread"


class FakeDriver:
    """A Driver in numpy. ``leaks`` lists what was still held when it was closed.

    memory: bytes there are; an allocation beyond raises ModelError. no_graphs: capture fails, as
    with a network that waits in the middle. launched: names of kernels in the order they ran.
    """

    def __init__(
        self, *, memory: int = 8 << 30, no_graphs: bool = False, name: str = "fake"
    ) -> None:
        self.gpu = GpuInfo(0, "Fake GPU", (9, 0), memory, (13, 0))
        self.name = name
        self.leaks: list[str] = []
        self.launched: list[str] = []
        self.graph_launches = 0
        self.captures = 0
        self.closed = False
        self._no_graphs = no_graphs
        self._thread = threading.local()
        self._lock = threading.RLock()
        self._memory: dict[int, NDArray[np.uint8]] = {}
        self._pinned: dict[int, NDArray[Any]] = {}
        self._pending: dict[int, list[Work]] = {}
        self._capturing: dict[int, list[Work]] = {}
        self._graphs: dict[int, list[Work]] = {}
        self._events: dict[int, float | None] = {}
        self._functions: dict[int, str] = {}

    @contextmanager
    def current(self) -> Iterator[None]:
        assert not self.closed, "the driver was closed"
        self._thread.depth = self._depth + 1
        _contexts.depth = getattr(_contexts, "depth", 0) + 1
        try:
            yield
        finally:
            self._thread.depth -= 1
            _contexts.depth -= 1

    @property
    def _depth(self) -> int:
        return getattr(self._thread, "depth", 0)

    def _check(self) -> None:
        assert not self.closed, "the driver was closed"
        assert self._depth > 0, "no context is current on this thread: use driver.current()"

    def alloc(self, size: int) -> int:
        self._check()
        assert size > 0, "an allocation needs a size"
        used = sum(len(block) for block in self._memory.values())
        if used + size > self.gpu.memory:
            raise ModelError(f"{self.gpu.name}: out of memory: {size} bytes more than it has")
        block = np.full(size + ALIGNMENT, 0xA5, np.uint8)
        address = int(-(-block.ctypes.data // ALIGNMENT) * ALIGNMENT)
        start = address - block.ctypes.data
        self._memory[address] = block[start : start + size]
        return address

    def free(self, address: int) -> None:
        self._check()
        assert address in self._memory, f"{address:#x} is not allocated (freed twice?)"
        del self._memory[address]

    def view(self, address: int, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """Views elements of device memory, which must be allocated and long enough."""
        dtype = np.dtype(dtype)
        for start, block in self._memory.items():
            if start <= address < start + len(block):
                part = block[address - start : address - start + count * dtype.itemsize]
                assert len(part) == count * dtype.itemsize, f"{address:#x}: too short"
                return part.view(dtype)
        raise AssertionError(f"{address:#x} is no address of this GPU")

    def rest(self, address: int) -> NDArray[np.uint8]:
        """Views device memory from an address to the end of its block."""
        for start, block in self._memory.items():
            if start <= address < start + len(block):
                return block[address - start :]
        raise AssertionError(f"{address:#x} is no address of this GPU")

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        self._check()
        array = np.empty(shape, dtype)
        self._pinned[array.ctypes.data] = array
        return array

    def free_pinned(self, array: NDArray[Any]) -> None:
        self._check()
        assert array.ctypes.data in self._pinned, "not pinned memory of this driver (freed twice?)"
        del self._pinned[array.ctypes.data]

    def stream(self) -> int:
        self._check()
        handle = next(_handles)
        self._pending[handle] = []
        _streams[handle] = self
        return handle

    def close_stream(self, stream: int) -> None:
        self._check()
        self.synchronize(stream)
        del self._pending[stream], _streams[stream]

    def put(self, stream: int, work: Work) -> None:
        """Puts work on a stream."""
        self._check()
        assert stream in self._pending, "no such stream (closed?)"
        self._capturing.get(stream, self._pending[stream]).append(work)

    def upload(self, address: int, source: NDArray[Any], stream: int) -> None:
        assert source.flags.c_contiguous, "copies need contiguous memory"
        target = self.view(address, np.uint8, source.nbytes)
        data = self._for_copy(source, stream, copy=True)
        self.put(stream, lambda: np.copyto(target, data.reshape(-1).view(np.uint8)))

    def download(self, target: NDArray[Any], address: int, stream: int) -> None:
        assert target.flags.c_contiguous, "copies need contiguous memory"
        assert target.flags.writeable, "a copy needs memory it may write"
        source = self.view(address, np.uint8, target.nbytes)
        out = self._for_copy(target, stream, copy=False).reshape(-1).view(np.uint8)
        self.put(stream, lambda: np.copyto(out, source))

    def _for_copy(self, array: NDArray[Any], stream: int, *, copy: bool) -> NDArray[Any]:
        """Checks host memory; what is not pinned is staged at once, as CUDA does."""
        start = array.ctypes.data
        pinned = any(
            own <= start and start + array.nbytes <= own + block.nbytes
            for own, block in self._pinned.items()
        )
        assert pinned or stream not in self._capturing, "a graph copies pinned memory only"
        return array.copy() if copy and not pinned else array

    def synchronize(self, stream: int) -> None:
        self._check()
        assert stream in self._pending, "no such stream (closed?)"
        if stream in self._capturing:  # as a real driver: the capture is spoilt
            raise BackendUnavailable("operation not permitted when stream is capturing")
        work = self._pending[stream]
        while work:
            work.pop(0)()

    def event(self) -> int:
        self._check()
        handle = next(_handles)
        self._events[handle] = None
        return handle

    def close_event(self, event: int) -> None:
        self._check()
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        assert event in self._events, "no such event (closed?)"

        def note() -> None:
            self._events[event] = time.perf_counter()

        self.put(stream, note)

    def elapsed_ms(self, start: int, end: int) -> float:
        self._check()
        for stream in list(self._pending):
            self.synchronize(stream)
        first, last = self._events[start], self._events[end]
        assert first is not None, "the first event was never recorded"
        assert last is not None, "the last event was never recorded"
        return (last - first) * 1e3

    def compile(self, source: str) -> bytes:
        assert "__global__" in source
        return b"image of " + source.encode()

    def function(self, image: bytes, name: str) -> int:
        self._check()
        assert image.startswith(b"image of "), "an image that compile() did not give"
        if name not in KERNELS:
            raise BackendUnavailable(f"the module has no kernel {name!r}")
        handle = next(_handles)
        self._functions[handle] = name
        return handle

    def launch(
        self,
        function: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: int,
    ) -> None:
        assert min(*grid, *block) >= 1, "an empty launch"
        assert block[0] * block[1] * block[2] <= 1024, "a block has 1024 threads at most"
        assert all(isinstance(a, np.generic) for a in arguments), "arguments are numpy scalars"
        name = self._functions[function]
        addresses = [int(a) for a in arguments]

        def run() -> None:
            self.launched.append(name)
            KERNELS[name](self, *addresses)

        self.put(stream, run)

    def begin_capture(self, stream: int) -> None:
        self._check()
        assert stream not in self._capturing, "this stream is being captured already"
        self.captures += 1
        self._capturing[stream] = []

    def end_capture(self, stream: int) -> int:
        self._check()
        recorded = self._capturing.pop(stream)
        if self._no_graphs:
            raise BackendUnavailable("capture was spoilt (CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)")
        handle = next(_handles)
        self._graphs[handle] = recorded
        return handle

    def launch_graph(self, graph: int, stream: int) -> None:
        self.graph_launches += 1
        for work in self._graphs[graph]:
            self.put(stream, work)

    def close_graph(self, graph: int) -> None:
        self._check()
        del self._graphs[graph]

    def close(self) -> None:
        if self.closed:
            return
        held: dict[str, Sized] = {
            "memory": self._memory,
            "pinned memory": self._pinned,
            "stream": self._pending,
            "event": self._events,
            "graph": self._graphs,
        }
        self.leaks = [f"{len(items)} x {name}" for name, items in held.items() if items]
        self.closed = True
