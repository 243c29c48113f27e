"""A video that loops behind the person, in step with the frames' own time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np

from edgeseg.effects.backdrop import cover_planes, subsample, to_planes
from edgeseg.errors import ConfigError
from edgeseg.ops.planes import rgb_to_yuv_matrix, rotate, yuv_to_rgb_matrix
from edgeseg.types import U8, ColorSpace, Frame, Matrix, Planes, Size

log = logging.getLogger(__name__)

_DEFAULT_STEP = Fraction(1, 25)
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_BT601_CODES, _BT709_CODES = (4, 5, 6), (1, 7)  # AVColorSpace
_HD_PIXELS = 1280 * 720


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """One decoded picture, on from ``start`` to ``end`` seconds; ``last`` of its pass.

    Times are exact: a frame on the very tick of a picture gets that picture, in every loop.
    """

    picture: av.VideoFrame
    start: Fraction
    end: Fraction
    last: bool


class VideoBackdrop:
    """A looping video, cut to the frame's aspect ratio; thread-safe.

    The picture behind a frame depends on the frame's pts only; frames without one are timed by
    their capture, from the first frame on. Time may stand still, jump, and go back.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when the file holds no readable video."""
        self._path = path
        self._lock = threading.Lock()
        self._damaged = False
        self._origin_s: float | None = None
        self._length: Fraction | None = None
        self._prepared: tuple[_Shot, Size, ColorSpace, Planes] | None = None
        self._shots = self._play()
        self._shot = self._first()

    def planes(self, frame: Frame) -> Planes:
        """Returns the background of a frame, read-only."""
        with self._lock:
            shot = self._seek(self._time_of(frame))
            held = self._prepared
            if held is not None and held[:3] == (shot, frame.size, frame.color):
                return held[3]
            planes = _planes_of(shot.picture, frame.size, frame.color).freeze()
            self._prepared = (shot, frame.size, frame.color, planes)
            return planes

    def _time_of(self, frame: Frame) -> Fraction:
        if frame.pts is not None:
            return max(frame.pts, Fraction(0))
        if self._origin_s is None:
            self._origin_s = frame.captured_at
        return Fraction(max(frame.captured_at - self._origin_s, 0.0))

    def _seek(self, time: Fraction) -> _Shot:
        """Decodes forward to the picture that is on at ``time``, from the start to go back."""
        if self._length is not None:
            time %= self._length
        if time < self._shot.start:
            self._rewind()
        while time >= self._shot.end:
            if self._shot.last:
                if not self._shot.start:
                    break  # a single picture is always on
                self._length = self._shot.end
                time %= self._length
                self._rewind()
            else:
                self._shot = next(self._shots)
        return self._shot

    def _rewind(self) -> None:
        self._shots = self._play()
        self._shot = self._first()

    def _first(self) -> _Shot:
        shot = next(self._shots, None)
        if shot is None:
            raise ConfigError(
                f"effect replace={self._path}: neither an image nor a video that can be read"
            )
        return shot

    def _play(self) -> Iterator[_Shot]:
        """Yields the pictures of one pass, each with the time at which the next one follows."""
        held: tuple[av.VideoFrame, Fraction] | None = None
        step = _DEFAULT_STEP
        for picture, at in self._pictures():
            if held is not None:
                if at <= held[1]:
                    continue
                step = at - held[1]
                yield _Shot(held[0], held[1], at, last=False)
            held = (picture, at)
        if held is not None:
            yield _Shot(held[0], held[1], held[1] + step, last=True)

    def _pictures(self) -> Iterator[tuple[av.VideoFrame, Fraction]]:
        """Yields decoded pictures and their seconds from the first one, up to any damage."""
        first: Fraction | None = None
        try:
            with av.open(str(self._path)) as container:
                if not container.streams.video:
                    return
                for index, picture in enumerate(container.decode(video=0)):
                    at = index * _DEFAULT_STEP
                    if picture.pts is not None and picture.time_base is not None:
                        at = picture.pts * picture.time_base
                    first = at if first is None else first
                    yield picture, at - first
        except (av.error.FFmpegError, OSError) as error:
            if first is not None and not self._damaged:
                log.warning("background %s: read up to damage: %s", self._path, error)
            self._damaged = True


def _planes_of(picture: av.VideoFrame, size: Size, color: ColorSpace) -> Planes:
    """Returns a decoded picture upright, in ``size`` and ``color``."""
    turn = round(-picture.rotation / 90) * 90 % 360
    stored = Size(size.height, size.width) if turn % 180 else size
    if picture.format.name not in ("yuv420p", "yuvj420p"):
        bgr: Any = picture.to_ndarray(format="bgr24")
        return rotate(cover_planes(to_planes(bgr, color), stored), turn)
    planes, given = Planes(*(_view(plane) for plane in picture.planes)), _color_of(picture)
    if picture.width < stored.width:  # recolour where there are fewer pixels
        return rotate(cover_planes(_recolor(planes, given, color), stored), turn)
    return rotate(_recolor(cover_planes(planes, stored), given, color), turn)


def _view(plane: Any) -> U8:
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(plane.height, plane.line_size)[:, : plane.width]


def _color_of(picture: av.VideoFrame) -> ColorSpace:
    """Returns the colour space of a picture; untagged HD is BT.709, the rest BT.601."""
    full = picture.color_range == _FULL_RANGE or picture.format.name.startswith("yuvj")
    code = int(picture.colorspace)
    hd = picture.width * picture.height >= _HD_PIXELS
    matrix: Matrix = "bt709" if hd else "bt601"
    if code in _BT601_CODES + _BT709_CODES:
        matrix = "bt601" if code in _BT601_CODES else "bt709"
    return ColorSpace(matrix, bool(full))


def _recolor(planes: Planes, given: ColorSpace, wanted: ColorSpace) -> Planes:
    """Converts planes from one colour space to another."""
    if given == wanted:
        return planes
    size = planes.size
    big = [
        cv2.resize(src=plane, dsize=tuple(size), interpolation=cv2.INTER_LINEAR)
        for plane in (planes.u, planes.v)
    ]
    to_rgb, to_yuv = yuv_to_rgb_matrix(given), rgb_to_yuv_matrix(wanted)
    combined = to_yuv[:, :3] @ to_rgb
    combined[:, 3] += to_yuv[:, 3]
    return subsample(cv2.transform(src=cv2.merge(mv=[planes.y, *big]), m=combined))
