"""Every seam of edgeseg on one page.

Implementations never import one another; ``assemble`` is the only package that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeseg.types import (
    Frame,
    Geometry,
    OutputInfo,
    Planes,
    Rendered,
    Result,
    Size,
    SourceCounters,
    SourceInfo,
)

Tensor = NDArray[np.generic]


@runtime_checkable
class Source(Protocol):
    """Gives frames in order, one call at a time, from one thread.

    ``read`` blocks until the next frame and returns None at the end of the stream. It raises
    SourceError when the source fails, and never invents a frame. ``interrupt`` may be called from
    any thread: a blocked or later ``read`` then returns None within two seconds. ``close`` comes
    after the last ``read`` and releases everything; calling it again does nothing.
    """

    @property
    def info(self) -> SourceInfo: ...
    @property
    def counters(self) -> SourceCounters: ...
    def read(self) -> Frame | None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class Sink(Protocol):
    """Takes finished frames in order; all calls come from the main thread.

    ``open`` is called once before the first frame and raises SinkRefused when it cannot work as
    asked (nothing is left behind then). ``write`` raises SinkError. ``close`` finalises, also
    after a failure elsewhere, and may be called without ``open``.
    """

    @property
    def uri(self) -> str: ...
    def open(self, info: OutputInfo) -> None: ...
    def write(self, item: Rendered) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class InteractiveSink(Sink, Protocol):
    """A sink with keys, shown last and with the HUD on it; ``poll`` returns keys pressed since.

    Keys are single characters; ``"q"`` also stands for a closed window.
    """

    def poll(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, shape (None = free) and numpy dtype name of one input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What runs a network: name ("onnxruntime"), device ("cpu"), precision ("fp32"), threads.

    file, sha256: the model file or engine that runs, where the backend took one of its own choice.
    """

    name: str
    device: str
    precision: str
    threads: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    file: str = ""
    sha256: str = ""


class Backend(Protocol):
    """Runs one network. ``infer`` is thread-safe: several workers share one backend.

    Inputs and outputs are bound by name. Returned arrays belong to the caller.
    """

    @property
    def info(self) -> BackendInfo: ...
    def infer(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def warm_up(self) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class FrameBackend(Backend, Protocol):
    """A backend that takes a frame's planes itself: resizing, colours and decision run on a GPU.

    ``infer_frame`` returns the outputs that ``ModelSpec.decided`` describes, and where the network
    saw the frame. It is as thread-safe as ``infer``.
    """

    def infer_frame(self, frame: Frame) -> tuple[dict[str, Tensor], Geometry]: ...


class DeviceLane(Protocol):
    """One place to run a network on a GPU at a time: its own execution state, used by one thread.

    Tensors lie at device addresses bound once by name; ``enqueue`` puts one run on a stream and
    returns at once. After ``bind`` and one warm run, ``enqueue`` must be capturable in a CUDA graph
    if ``capturable``.
    """

    @property
    def capturable(self) -> bool: ...
    def bind(self, addresses: Mapping[str, int]) -> None: ...
    def enqueue(self, stream: int) -> None: ...
    def close(self) -> None: ...


class DeviceNetwork(Protocol):
    """A network loaded on a GPU: a TensorRT engine, an ONNX Runtime session.

    ``lane`` opens one more lane; lanes share weights. All calls need the GPU's context current.
    """

    @property
    def info(self) -> BackendInfo: ...
    def lane(self, stream: int) -> DeviceLane: ...
    def close(self) -> None: ...


class StageTimer(Protocol):
    """Receives stage times; ``Meter`` implements it, and a no-op does where nobody measures.

    wall_s and cpu_s are seconds of one frame in one stage, cpu_s of the calling thread.
    """

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None: ...


@runtime_checkable
class Segmenter(Protocol):
    """Frame -> Result. ``segment`` is thread-safe and has no memory of earlier frames."""

    @property
    def name(self) -> str: ...
    def segment(self, frame: Frame, timer: StageTimer) -> Result: ...
    def close(self) -> None: ...


class Smoother(Protocol):
    """Temporal state: called once per frame in frame order, never concurrently.

    Returns the result to draw. ``reset`` forgets the past (scene cut, seek, model change).
    """

    def smooth(self, frame: Frame, result: Result) -> Result: ...
    def reset(self) -> None: ...


Hides = Literal["nothing", "background", "objects"]
"""What an effect keeps from being seen: the surroundings of the chosen classes, or these."""


class Effect(Protocol):
    """Draws a frame and its result into ``out``; thread-safe, no memory of earlier frames.

    ``out`` has ``output_size(frame.size)`` and, if ``alpha``, an alpha plane; every pixel of it
    is written. ``result`` None means that there is no valid mask: an effect that hides anything
    then hides the whole picture.
    """

    @property
    def name(self) -> str: ...
    @property
    def hides(self) -> Hides: ...
    @property
    def alpha(self) -> bool: ...
    def output_size(self, size: Size) -> Size: ...
    def render(self, frame: Frame, result: Result | None, out: Planes) -> None: ...
