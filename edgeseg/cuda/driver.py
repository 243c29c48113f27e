"""The one interface to a GPU, which pycuda and cuda-python implement.

Addresses, streams, events, functions and graphs are plain integers, as the driver's C interface
has them, so that TensorRT, ONNX Runtime and our kernels take them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

Argument = np.generic
"""A kernel's argument as a numpy scalar of its C type; addresses are uint64."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """name: "NVIDIA H200". sm: compute capability (9, 0). memory: bytes.

    driver_cuda: newest CUDA version the driver runs, such as (13, 0).
    """

    index: int
    name: str
    sm: tuple[int, int]
    memory: int
    driver_cuda: tuple[int, int]


class Driver(Protocol):
    """One GPU's primary context, retained once.

    Every call but ``current`` and ``close`` needs the context current on the calling thread, that
    is, to stand inside ``with driver.current():``. ``current`` may be nested and leaves the
    thread's stack as it found it. Addresses that ``alloc`` gives are aligned to 256 bytes. Calls
    that take a stream return before the work is done. A failed call raises BackendUnavailable, or
    ModelError when memory runs out, with the driver's own word for it.
    """

    @property
    def name(self) -> str:
        """``pycuda`` or ``cuda-python``."""
        ...

    @property
    def gpu(self) -> GpuInfo: ...
    def current(self) -> AbstractContextManager[None]: ...
    def alloc(self, size: int) -> int: ...
    def free(self, address: int) -> None: ...
    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
        """Returns page-locked host memory, valid until ``free_pinned`` or ``close``.

        Asynchronous copies need such memory: it must stay, unchanged, until the stream is done.
        """
        ...

    def free_pinned(self, array: NDArray[np.generic]) -> None:
        """Frees what ``pinned`` gave; the array must not be touched again."""
        ...

    def stream(self) -> int:
        """Returns a new stream that does not wait for the default one."""
        ...

    def close_stream(self, stream: int) -> None: ...
    def upload(self, address: int, source: NDArray[np.generic], stream: int) -> None: ...
    def download(self, target: NDArray[np.generic], address: int, stream: int) -> None: ...
    def synchronize(self, stream: int) -> None: ...
    def event(self) -> int: ...
    def close_event(self, event: int) -> None: ...
    def record(self, event: int, stream: int) -> None: ...
    def elapsed_ms(self, start: int, end: int) -> float:
        """Waits for ``end`` and returns the time between two recorded events."""
        ...

    def compile(self, source: str) -> bytes:
        """Returns CUDA C++ compiled for this GPU, from the user's cache where it lies there.

        Raises BackendUnavailable where no compiler is found, ModelError for wrong source.
        """
        ...

    def function(self, image: bytes, name: str) -> int:
        """Returns a kernel of a compiled module (PTX or cubin), loaded once per image."""
        ...

    def launch(
        self,
        function: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: int,
    ) -> None: ...
    def begin_capture(self, stream: int) -> None: ...
    def end_capture(self, stream: int) -> int:
        """Returns an executable graph of what was put on the stream since ``begin_capture``."""
        ...

    def launch_graph(self, graph: int, stream: int) -> None: ...
    def close_graph(self, graph: int) -> None: ...
    def close(self) -> None:
        """Frees what is left and releases the primary context. Idempotent."""
        ...
