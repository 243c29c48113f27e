"""Buffers that are written anew for every frame, without being allocated anew."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeseg.types import F32, U8, Planes, Size

T = TypeVar("T", bound=np.generic)


class Scratch(threading.local):
    """Named working buffers, one set per thread, so that its owner stays thread-safe.

    A buffer's content is lost at the next call with the same name. Fresh pictures cost page
    faults: the guided filter takes 1.1 ms at 720p with reused buffers and 2.7 ms without.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, type[np.generic]], NDArray[Any]] = {}

    def u8(self, name: str, size: Size) -> U8:
        """Returns an uninitialised, contiguous uint8 [H, W] buffer."""
        return self._buffer(name, size, np.uint8)

    def f32(self, name: str, size: Size) -> F32:
        """Returns an uninitialised, contiguous float32 [H, W] buffer."""
        return self._buffer(name, size, np.float32)

    def _buffer(self, name: str, size: Size, dtype: type[T]) -> NDArray[T]:
        count = size.width * size.height
        held = self._held.get((name, dtype))
        if held is None or held.size < count:
            held = self._held[name, dtype] = np.empty(count, dtype)
        return held[:count].reshape(size.height, size.width)

    def planes(self, name: str, size: Size) -> Planes:
        """Returns uninitialised planes without alpha."""
        y = self.u8(f"{name}.y", size)
        return Planes(y, self.u8(f"{name}.u", size.chroma), self.u8(f"{name}.v", size.chroma))
