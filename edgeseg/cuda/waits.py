"""Waiting for a stream asleep, by ctypes, for both drivers."""

from __future__ import annotations

import ctypes

from edgeseg.cuda.libcuda import check, libcuda

SLEEPING = 1 | 2
"""Event flags: the waiting thread sleeps (CU_EVENT_BLOCKING_SYNC), and no time is taken."""

_Handle = ctypes.c_void_p


class Waits:
    """One event per stream on which a thread sleeps until the stream is done.

    cuStreamSynchronize keeps a core busy meanwhile, unless the context was told otherwise, which
    is everybody's in the process. Python's lock is not held. All calls need the context current.
    """

    def __init__(self) -> None:
        self._events: dict[int, _Handle] = {}

    def wait(self, stream: int) -> None:
        """Returns when all that was put on the stream before is done."""
        lib = _library()
        event = self._events.get(stream)
        if event is None:
            event = _Handle()
            check(lib.cuEventCreate(ctypes.byref(event), SLEEPING), "making an event")
            self._events[stream] = event
        check(lib.cuEventRecord(event, _Handle(stream)), "waiting for a stream")
        check(lib.cuEventSynchronize(event), "waiting for a stream")

    def forget(self, stream: int) -> None:
        """Frees what a stream that is to be closed was waited for with."""
        event = self._events.pop(stream, None)
        if event is not None:
            check(_library().cuEventDestroy_v2(event), "freeing an event")

    def close(self) -> None:
        """Frees every event that is left."""
        for stream in list(self._events):
            self.forget(stream)


def _library() -> ctypes.CDLL:
    lib = libcuda()
    assert lib is not None, "a driver was opened, so its library is here"
    return lib
