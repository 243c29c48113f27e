"""Values that travel through edgeseg: pictures, results, and the packet that binds them.

A picture inside edgeseg is I420: three uint8 planes Y [H, W], U and V [(H+1)//2, (W+1)//2].
Decoders give it and encoders take it, and it is half the bytes of BGR. Stream time is an exact
rational in seconds; clock time is ``time.perf_counter()`` in float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.labels import LabelSet

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

Matrix = Literal["bt601", "bt709"]


class Size(NamedTuple):
    """Width and height in pixels, in that order."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def chroma(self) -> Size:
        """Size of the U and V planes of an I420 picture of this size (odd sizes round up)."""
        return Size((self.width + 1) // 2, (self.height + 1) // 2)


class ColorSpace(NamedTuple):
    """How Y, U, V of a picture translate to RGB."""

    matrix: Matrix = "bt601"
    full_range: bool = False


BT601 = ColorSpace()
"""What images and cameras give; the default everywhere."""


@dataclass(frozen=True, slots=True)
class Planes:
    """An I420 picture, with an optional full-size alpha plane (255 = opaque).

    y: uint8 [H, W]. u, v: uint8 [(H+1)//2, (W+1)//2]. a: uint8 [H, W] or None.
    Planes of a Frame are read-only; whoever draws owns the planes it draws on.
    Rows may be padded (a view into a decoder's buffer), the last axis is contiguous.
    """

    y: U8
    u: U8
    v: U8
    a: U8 | None = None

    @property
    def size(self) -> Size:
        """Size of the picture (of the Y plane)."""
        return Size(self.y.shape[1], self.y.shape[0])

    @staticmethod
    def empty(size: Size, *, alpha: bool = False) -> Planes:
        """Returns uninitialised, writable planes for a picture of this size."""
        full, half = (size.height, size.width), (size.chroma.height, size.chroma.width)
        return Planes(
            y=np.empty(full, np.uint8),
            u=np.empty(half, np.uint8),
            v=np.empty(half, np.uint8),
            a=np.empty(full, np.uint8) if alpha else None,
        )

    def freeze(self) -> Planes:
        """Makes every plane read-only and returns self."""
        for plane in (self.y, self.u, self.v, self.a):
            if plane is not None:
                plane.flags.writeable = False
        return self


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a source, read-only.

    index: 0-based number of the frame in its source, counting every captured frame.
    captured_at: perf_counter seconds when the source had the picture.
    pts: stream time in seconds, exact; None when the source has no clock of its own.
    truth: uint8 [H, W] ground-truth labels, synthetic sources only.
    cut: True where the source knows that this frame does not continue the previous one.
    name: of the picture file it came from, below the folder all pictures share; None for video.
    """

    planes: Planes
    index: int
    captured_at: float
    pts: Fraction | None = None
    color: ColorSpace = BT601
    truth: U8 | None = None
    cut: bool = False
    owner: object = field(default=None, repr=False, compare=False)  # keeps a decoder's buffer alive
    name: str | None = None

    @property
    def size(self) -> Size:
        """Size of the picture."""
        return self.planes.size


class Rect(NamedTuple):
    """A pixel rectangle; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a frame lies inside a network's input.

    frame: size of the picture. network: size of the network's input.
    content: the part of the network's input that shows the picture; all of it for ``stretch``.
    """

    frame: Size
    network: Size
    content: Rect


@dataclass(frozen=True, slots=True)
class Matte:
    """Person probability of one frame, at the network's output resolution.

    person: float32 [h, w] in 0..1, covering ``geometry.content`` only (padding is cut off), so
    that resizing it to the frame's size aligns it with the picture.
    present: False when the presence gate says that nobody is there; ``person`` is then all zero.
    """

    person: F32
    geometry: Geometry
    threshold: float = 0.5
    present: bool = True

    @property
    def frame_size(self) -> Size:
        """Size of the frame this result belongs to."""
        return self.geometry.frame


@dataclass(frozen=True, slots=True)
class SemanticMap:
    """The class of each place of one frame, at the network's output resolution.

    labels: uint8 [h, w], class numbers into ``label_set``, covering ``geometry.content`` only.
    scores: float32 [classes, h, w], higher is likelier, what ``labels`` is the argmax of; None for
    networks that give labels only.
    """

    labels: U8
    scores: F32 | None
    geometry: Geometry
    label_set: LabelSet

    @property
    def frame_size(self) -> Size:
        """Size of the frame this result belongs to."""
        return self.geometry.frame


@dataclass(frozen=True, slots=True)
class Instances:
    """The objects found in one frame, best score first; N may be 0.

    boxes_xyxy: float32 [N, 4] in frame pixels, clipped to the frame. scores: float32 [N] in 0..1.
    labels: int32 [N], class numbers into ``label_set`` (which has no background).
    masks: N uint8 arrays [h, w] of any size, probability 0..255, each covering its row of
    ``areas_xyxy``, float32 [N, 4] in frame pixels; outside of it the object is not.
    ids: int32 [N], identity across frames once tracked, else None.
    """

    boxes_xyxy: F32
    scores: F32
    labels: I32
    masks: tuple[U8, ...]
    areas_xyxy: F32
    geometry: Geometry
    label_set: LabelSet
    threshold: float = 0.5
    ids: I32 | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def frame_size(self) -> Size:
        """Size of the frame this result belongs to."""
        return self.geometry.frame


Result = Matte | SemanticMap | Instances


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source gives, known once it is open.

    uri: as the user named it. size: of its first frame, upright (after rotation metadata).
    fps: nominal rate, None when unknown. frames: expected number, None when unknown or live.
    live: True when frames come at their own pace and are lost if nobody takes them.
    time_base: unit of the stream's integer timestamps. path: the file, when it is one video file.
    notes: lines worth telling the user, such as requested versus given camera settings.
    """

    uri: str
    size: Size
    fps: Fraction | None
    frames: int | None
    live: bool
    time_base: Fraction = Fraction(1, 90_000)
    color: ColorSpace = BT601
    path: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class SourceCounters:
    """What a source noticed besides frames; read by the meter when the run ends and by the HUD.

    damaged: frames or packets lost to damage. duplicated: repeats of the previous picture.
    dropped: frames the device or network is known to have lost. reconnects: times it came back.
    """

    damaged: int = 0
    duplicated: int = 0
    dropped: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class OutputInfo:
    """What a sink is about to receive."""

    source: SourceInfo
    size: Size
    alpha: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished frame on its way to the sinks: picture, the frame it came from, its result.

    picture is owned by the pipeline and valid until the sink's ``write`` returns: copy to keep.
    """

    picture: Planes
    frame: Frame
    result: Result | None
