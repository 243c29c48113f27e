"""The compiled kernels of one GPU, and how each is launched."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeseg.cuda.driver import Driver
from edgeseg.types import Size

SOURCE = Path(__file__).with_name("kernels.cu")
NAMES = ("i420_to_input", "scores_to_labels", "person_to_bytes")
TILE = Size(32, 8)
"""Threads of a block that makes a picture: a warp writes 32 pixels of one row."""
ROW = 256
"""Threads of a block that goes through pixels in a line."""


class Kernels:
    """Launches the kernels by name. Thread-safe; needs the context current.

    A recipe is an INPUT_RECIPE or SCORE_RECIPE in device memory; damaged is a uint32 there, not 0
    after a run whose scores held no numbers.
    """

    def __init__(self, driver: Driver) -> None:
        """Compiles them where that was not done before. Raises BackendUnavailable."""
        image = driver.compile(SOURCE.read_text(encoding="utf-8"))
        self._driver = driver
        self._functions = {name: driver.function(image, name) for name in NAMES}

    def make_input(
        self, *, picture: int, recipe: int, tensor: int, damaged: int, size: Size, stream: int
    ) -> None:
        """Makes a network's input of this size from a frame's packed planes; clears damaged."""
        grid = (-(-size.width // TILE.width), -(-size.height // TILE.height), 1)
        block = (TILE.width, TILE.height, 1)
        self._launch("i420_to_input", grid, block, (picture, recipe, tensor, damaged), stream)

    def decide(
        self,
        name: str,
        *,
        scores: int,
        recipe: int,
        out: int,
        damaged: int,
        pixels: int,
        stream: int,
    ) -> None:
        """Turns scores into a byte per pixel by ``scores_to_labels`` or ``person_to_bytes``."""
        grid, block = (-(-pixels // ROW), 1, 1), (ROW, 1, 1)
        self._launch(name, grid, block, (scores, recipe, out, damaged), stream)

    def _launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        addresses: tuple[int, ...],
        stream: int,
    ) -> None:
        arguments = [np.uint64(address) for address in addresses]
        self._driver.launch(self._functions[name], grid, block, arguments, stream)
