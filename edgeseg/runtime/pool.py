"""Reused picture buffers: a fresh 720p buffer costs page faults on every frame."""

from __future__ import annotations

import threading

from edgeseg.types import Planes, Size


class PlanesPool:
    """Lends writable planes and keeps at most ``limit`` unused ones of the newest size."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._free: list[Planes] = []
        self._lock = threading.Lock()

    def take(self, size: Size, *, alpha: bool) -> Planes:
        """Returns planes with undefined contents."""
        with self._lock:
            while self._free:
                planes = self._free.pop()
                if planes.size == size and (planes.a is not None) == alpha:
                    return planes
        return Planes.empty(size, alpha=alpha)

    def give_back(self, planes: Planes) -> None:
        """Takes planes back that nobody uses any more."""
        with self._lock:
            if len(self._free) < self._limit:
                self._free.append(planes)
