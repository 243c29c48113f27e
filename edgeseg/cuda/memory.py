"""Memory of one lane: allocated once, freed together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeseg.cuda.driver import Driver


class Memory:
    """Device and page-locked memory; every call needs the context current."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._device: list[int] = []
        self._pinned: list[NDArray[Any]] = []

    def device(self, size: int) -> int:
        """Returns the address of so many bytes on the GPU. Raises ModelError when it is full."""
        address = self._driver.alloc(max(size, 1))
        self._device.append(address)
        return address

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Returns page-locked host memory."""
        array = self._driver.pinned(shape, dtype)
        self._pinned.append(array)
        return array

    def close(self) -> None:
        """Frees all of it."""
        while self._device:
            self._driver.free(self._device.pop())
        while self._pinned:
            self._driver.free_pinned(self._pinned.pop())
