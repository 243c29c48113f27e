"""A frame on its way into a network's input on a GPU."""

from __future__ import annotations

import numpy as np

from edgeseg.cuda.driver import Driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.memory import Memory
from edgeseg.cuda.recipes import INPUT_RECIPE, frame_bytes, input_recipe
from edgeseg.cuda.tensors import byte_count
from edgeseg.ops.image import fit
from edgeseg.protocols import TensorInfo
from edgeseg.spec import InputSpec
from edgeseg.types import ColorSpace, Frame, Geometry, Size


class FrameInput:
    """Copies planes to page-locked memory, uploads them, and has the kernel make the input.

    Its memory is allocated for the largest frame so far. Used by one thread, the context current.
    """

    def __init__(self, driver: Driver, kernels: Kernels, spec: InputSpec, info: TensorInfo) -> None:
        self._driver = driver
        self._kernels = kernels
        self._spec = spec
        self._dtype = info.dtype
        self._memory = Memory(driver)
        self._frames = Memory(driver)
        self._recipe = self._memory.device(INPUT_RECIPE.itemsize)
        self._told = self._memory.pinned((1,), INPUT_RECIPE)
        self.tensor = self._memory.device(byte_count(info))
        """Address of the network's input."""
        self._capacity = 0
        self._size: Size | None = None
        self._color: ColorSpace | None = None
        self._geometry: Geometry

    def place(self, frame: Frame, stream: int) -> tuple[Geometry, bool]:
        """Takes a frame's planes; returns where it lies, and whether its size is a new one.

        What was put on the stream before must be done.
        """
        moved = frame.size != self._size
        if moved or frame.color != self._color:
            self._adapt(frame, stream)
        planes, start = frame.planes, 0
        for plane in (planes.y, planes.u, planes.v):
            part = self._staging[start : start + plane.size]
            np.copyto(part.reshape(plane.shape), plane)
            start += plane.size
        return self._geometry, moved

    def enqueue(self, damaged: int, stream: int) -> None:
        """Puts the upload and the kernel on a stream."""
        self._driver.upload(self._picture, self._staging, stream)
        self._kernels.make_input(
            picture=self._picture,
            recipe=self._recipe,
            tensor=self.tensor,
            damaged=damaged,
            size=self._spec.size,
            stream=stream,
        )

    def _adapt(self, frame: Frame, stream: int) -> None:
        """Makes room for a frame of this size, and tells the kernel about it and its colours."""
        length = frame_bytes(frame.size)
        if length > self._capacity:
            self._size = None  # nothing is left to stand on if memory runs out
            self._frames.close()
            self._capacity = 0
            self._picture = self._frames.device(length)
            self._room = self._frames.pinned((length,))
            self._capacity = length
        self._staging = self._room[:length]
        self._geometry = fit(frame.size, self._spec)
        self._told[0] = input_recipe(self._geometry, frame.color, self._spec, self._dtype)
        self._driver.upload(self._recipe, self._told, stream)
        self._size, self._color = frame.size, frame.color

    def close(self) -> None:
        """Frees its memory."""
        self._frames.close()
        self._memory.close()
