"""Pictures as a source: one image, a folder, or a glob, in natural order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceNotFound
from edgeseg.ops.planes import from_bgr
from edgeseg.types import U8, Frame, Size, SourceCounters, SourceInfo
from edgeseg.video.uri import image_paths


class ImageSource:
    """Pictures of one image, a folder or a glob; each frame has its picture's own size.

    EXIF orientation is applied, 16 bits are reduced to 8, grey becomes colour, alpha is ignored.
    Pictures have no time: ``fps`` and ``pts`` are None, unless ``source.fps`` gives a rate.
    Every picture but the first is a cut.

    >>> source = ImageSource(SourceConfig(uri="photos/"))  # doctest: +SKIP
    >>> while (frame := source.read()) is not None:  # doctest: +SKIP
    ...     print(frame.index, frame.size)
    """

    def __init__(self, config: SourceConfig) -> None:
        """Lists the pictures and reads the first.

        Raises:
            SourceNotFound: there is none, or the first cannot be read.
        """
        self._paths = image_paths(config.uri)
        if not self._paths:
            raise SourceNotFound(f"{config.uri}: no pictures here")
        self._names = names_below(self._paths)
        self._interrupted = threading.Event()
        self._counters = SourceCounters()
        self._index = 0
        self._first: U8 | None = read_bgr(self._paths[0])
        rate = None if config.fps is None else Fraction(config.fps).limit_denominator(1001)
        total = None if config.loop else len(self._paths)
        self._info = SourceInfo(
            uri=config.uri,
            size=Size(self._first.shape[1], self._first.shape[0]),
            fps=rate,
            frames=min((n for n in (total, config.max_frames) if n is not None), default=None),
            live=False,
            time_base=Fraction(1, 90_000) if rate is None else 1 / rate,
        )

    @property
    def info(self) -> SourceInfo:
        """Size of the first picture and their number."""
        return self._info

    @property
    def counters(self) -> SourceCounters:
        """Always zero: an unreadable picture is an error, not damage."""
        return self._counters

    def read(self) -> Frame | None:
        """Returns the next picture, None at the end or after ``interrupt``.

        Raises:
            SourceNotFound: a picture cannot be read.
        """
        index, frames = self._index, self._info.frames
        if self._interrupted.is_set() or (frames is not None and index >= frames):
            return None
        bgr, self._first = self._first, None
        if bgr is None:
            bgr = read_bgr(self._paths[index % len(self._paths)])
        self._index += 1
        return Frame(
            planes=from_bgr(bgr).freeze(),
            index=index,
            captured_at=time.perf_counter(),
            pts=None if self._info.fps is None else index / self._info.fps,
            cut=index > 0,
            name=self._names[index % len(self._names)],
        )

    def interrupt(self) -> None:
        """Ends the sequence for the reader, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Ends the sequence; there is nothing to release."""
        self._interrupted.set()
        self._first = None


def names_below(paths: Sequence[Path]) -> list[str]:
    """Returns the files' names; with their folders below the one that all of them share."""
    shared = os.path.commonpath([path.absolute().parent for path in paths])
    return [path.absolute().relative_to(shared).as_posix() for path in paths]


def read_bgr(path: Path) -> U8:
    """Returns a picture as upright uint8 [H, W, 3] BGR.

    Raises:
        SourceNotFound: the file is missing, empty, or no picture OpenCV knows.
    """
    try:
        content = np.fromfile(path, np.uint8)  # imdecode takes paths of any alphabet
    except OSError as error:
        raise SourceNotFound(f"{path}: cannot be read: {error.strerror or error}") from error
    if content.size == 0:
        raise SourceNotFound(f"{path}: the file is empty (0 bytes)")
    try:
        bgr: U8 | None = cv2.imdecode(buf=content, flags=cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceNotFound(f"{path}: not a readable picture: {error.err}") from error
    if bgr is None:
        raise SourceNotFound(f"{path}: not a picture that OpenCV can read, or damaged")
    return bgr
