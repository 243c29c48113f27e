"""Small real implementations of the protocols, driven by functions and lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from edgeseg.ops.planes import copy_planes
from edgeseg.protocols import Hides, StageTimer
from edgeseg.types import (
    Frame,
    Geometry,
    Matte,
    OutputInfo,
    Planes,
    Rect,
    Rendered,
    Result,
    Size,
    SourceCounters,
    SourceInfo,
)

SIZE = Size(32, 18)


def grey(value: int, size: Size = SIZE) -> Planes:
    planes = Planes.empty(size)
    for plane, level in ((planes.y, value), (planes.u, 128), (planes.v, 128)):
        plane[...] = level
    return planes


def numbered_frame(index: int, size: Size = SIZE) -> Frame:
    """A frame whose luma is its index modulo 256."""
    return Frame(
        grey(index % 256, size).freeze(), index, time.perf_counter(), pts=Fraction(index, 25)
    )


def matte_for(frame: Frame, value: float = 1.0) -> Matte:
    size = frame.size
    geometry = Geometry(size, Size(8, 8), Rect(0, 0, 8, 8))
    return Matte(np.full((8, 8), value, np.float32), geometry)


class ListSource:
    """Gives numbered frames; ``before`` runs ahead of each read and may sleep or raise."""

    def __init__(
        self,
        count: int | None,
        *,
        live: bool = False,
        before: Callable[[int], None] = lambda index: None,
        size: Size = SIZE,
    ) -> None:
        self._count = count
        self._before = before
        self._size = size
        self._index = 0
        self._stop = threading.Event()
        self.closed = 0
        self.counters = SourceCounters()
        self.info = SourceInfo("list", size, Fraction(25), count, live)

    def read(self) -> Frame | None:
        if self._stop.is_set() or self._index == self._count:
            return None
        self._before(self._index)
        if self._stop.is_set():
            return None
        frame = numbered_frame(self._index, self._size)
        self._index += 1
        return frame

    def wait(self, seconds: float) -> None:
        """An interruptible sleep for ``before``."""
        self._stop.wait(seconds)

    def interrupt(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self.closed += 1


class FunctionSegmenter:
    """Calls a function with each frame; returns an all-person matte."""

    def __init__(
        self, work: Callable[[Frame], None] = lambda frame: None, *, name: str = "fake"
    ) -> None:
        self.name = name
        self._work = work
        self.closed = 0

    def segment(self, frame: Frame, timer: StageTimer) -> Result:
        self._work(frame)
        for stage in ("preprocess", "infer", "decode_result"):
            timer.record(stage, 0.001, 0.001)
        return matte_for(frame)

    def close(self) -> None:
        self.closed += 1


class RecordingSmoother:
    """Passes results on and remembers in which order frames came."""

    def __init__(self, work: Callable[[Frame], None] = lambda frame: None) -> None:
        self.order: list[int] = []
        self.resets = 0
        self._work = work

    def smooth(self, frame: Frame, result: Result) -> Result:
        self._work(frame)
        self.order.append(frame.index)
        return result

    def reset(self) -> None:
        self.resets += 1


class FunctionEffect:
    """Copies the frame after calling a function with it."""

    name = "copy"
    hides: Hides = "nothing"
    alpha = False

    def __init__(self, work: Callable[[Frame], None] = lambda frame: None) -> None:
        self._work = work

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        self._work(frame)
        copy_planes(frame.planes, out)


class ListSink:
    """Keeps the index and first luma value of every frame it was given."""

    uri = "list://"

    def __init__(
        self,
        *,
        on_open: Callable[[OutputInfo], None] = lambda info: None,
        on_write: Callable[[Rendered], None] = lambda item: None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.indices: list[int] = []
        self.lumas: list[int] = []
        self.opened = 0
        self.closed = 0
        self.info: OutputInfo | None = None
        self._hooks = (on_open, on_write, on_close)

    def open(self, info: OutputInfo) -> None:
        self.info = info
        self.opened += 1
        self._hooks[0](info)

    def write(self, item: Rendered) -> None:
        self._hooks[1](item)
        self.indices.append(item.frame.index)
        self.lumas.append(int(item.picture.y[0, 0]))

    def close(self) -> None:
        self.closed += 1
        self._hooks[2]()


class KeySink(ListSink):
    """An interactive sink that gives one string of keys per poll."""

    uri = "keys://"

    def __init__(self, polls: Sequence[str]) -> None:
        super().__init__()
        self._polls = list(polls)

    def poll(self) -> str:
        return self._polls.pop(0) if self._polls else ""
