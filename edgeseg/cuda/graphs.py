"""CUDA graphs by ctypes, for both drivers: pycuda has none, cuda-python's calls changed twice."""

from __future__ import annotations

import ctypes

from edgeseg.cuda.libcuda import check, libcuda
from edgeseg.errors import BackendUnavailable

THREAD_LOCAL = 1
"""Capture mode: other threads may allocate memory meanwhile (CU_STREAM_CAPTURE_MODE_...)."""

_Handle = ctypes.c_void_p


class Graphs:
    """Captures what is put on a stream and replays it; executable graphs are integers.

    All calls need the context current. Not thread-safe by itself: one stream belongs to one thread.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()

    def begin(self, stream: int) -> None:
        """Starts to record a stream. Raises BackendUnavailable where the driver cannot."""
        lib = _library()
        check(lib.cuStreamBeginCapture_v2(_Handle(stream), THREAD_LOCAL), "starting a capture")

    def end(self, stream: int) -> int:
        """Ends the recording, also a spoilt one, and returns an executable graph.

        Raises BackendUnavailable when something was recorded that cannot be replayed.
        """
        lib, graph, runnable = _library(), _Handle(), _Handle()
        check(lib.cuStreamEndCapture(_Handle(stream), ctypes.byref(graph)), "ending a capture")
        try:
            check(
                lib.cuGraphInstantiateWithFlags(
                    ctypes.byref(runnable), graph, ctypes.c_ulonglong(0)
                ),
                "making a graph",
            )
        finally:
            lib.cuGraphDestroy(graph)
        handle = runnable.value or 0
        self._open.add(handle)
        return handle

    def launch(self, graph: int, stream: int) -> None:
        """Puts one replay on a stream."""
        check(_library().cuGraphLaunch(_Handle(graph), _Handle(stream)), "launching a graph")

    def destroy(self, graph: int) -> None:
        """Frees an executable graph."""
        self._open.remove(graph)
        check(_library().cuGraphExecDestroy(_Handle(graph)), "freeing a graph")

    def close(self) -> None:
        """Frees every graph that is left."""
        for graph in list(self._open):
            self.destroy(graph)


def _library() -> ctypes.CDLL:
    lib = libcuda()
    if lib is None or not hasattr(lib, "cuGraphInstantiateWithFlags"):
        raise BackendUnavailable("CUDA graphs need an NVIDIA driver of CUDA 11.4 or newer")
    return lib
