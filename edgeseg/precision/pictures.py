"""Pictures to calibrate with: of a folder, or frames of a video, as a network sees them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.ops.image import network_input
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Tensor
from edgeseg.spec import ModelSpec
from edgeseg.types import U8, Frame

log = logging.getLogger(__name__)

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SEEK_FROM = 250
"""Frames between two of a video from which it is better to seek."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of a folder or a video, in the order in which they are used.

    files: of the folder, or the one video. positions: numbers of the video's frames, None for a
    folder.
    """

    source: Path
    files: tuple[Path, ...]
    positions: tuple[int, ...] | None = None

    @property
    def fingerprint(self) -> str:
        """Text that changes when pictures are exchanged, added or written anew."""
        lines = []
        for path in self.files:
            stat = path.stat()
            lines.append(f"{path.as_posix()} {stat.st_size} {stat.st_mtime_ns}")
        return "\n".join([*lines, str(self.positions)])

    def read(self) -> Iterator[tuple[int, U8]]:
        """Yields places in the order of use and uint8 [H, W, 3] BGR pictures.

        A video's come as they lie in it. Unreadable ones are left out with a warning.
        """
        if self.positions is not None:
            yield from _frames(self.files[0], self.positions)
            return
        for place, path in enumerate(self.files):
            picture = _read(path)
            if picture is None:
                log.warning("%s: not a readable picture: left out", path)
            else:
                yield place, picture


def find_pictures(source: Path, *, count: int, seed: int) -> Pictures:
    """Returns up to ``count`` pictures; the first ones are the same for a larger count.

    Raises ConfigError: the source is missing, holds no picture or is no video.
    """
    if count < 1:
        raise ConfigError(f"calibration: expected at least one picture, got a count of {count}")
    if source.is_file():
        return _of_video(source, count, seed)
    if not source.is_dir():
        raise ConfigError(f"{source}: no such folder or video to calibrate with")
    files = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    visible = [p for p in files if not p.name.startswith(".")]
    images = [p for p in visible if "images" in p.relative_to(source).parts[:-1]]
    chosen = images or visible
    if not chosen:
        raise ConfigError(
            f"{source}: no pictures to calibrate with ({', '.join(SUFFIXES)}); expected a folder "
            "of 100 to 500 pictures like those the model is for, or a video"
        )
    order = np.random.default_rng(seed).permutation(len(chosen))[:count]
    return Pictures(source, tuple(chosen[i] for i in order))


def network_inputs(spec: ModelSpec, pictures: Pictures) -> list[Tensor]:
    """Returns what the network gets for each picture. Raises ConfigError if none can be read."""
    inputs = {
        place: network_input(Frame(from_bgr(bgr), place, time.perf_counter()), spec.input)[0]
        for place, bgr in pictures.read()
    }
    if not inputs:
        raise ConfigError(
            f"{pictures.source}: none of its {len(pictures.files)} pictures can be read; "
            f"for example {pictures.files[0].name}"
        )
    return [inputs[place] for place in sorted(inputs)]


def _read(path: Path) -> U8 | None:
    try:
        content = np.fromfile(path, np.uint8)  # imdecode takes paths of any alphabet
    except OSError:
        return None
    if content.size == 0:
        return None
    try:
        bgr: U8 | None = cv2.imdecode(buf=content, flags=cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return bgr


def _of_video(path: Path, count: int, seed: int) -> Pictures:
    capture = cv2.VideoCapture(filename=str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    if frames < 1:
        raise ConfigError(
            f"{path}: not a video that OpenCV can read; "
            "expected a folder of pictures or a video to calibrate with"
        )
    return Pictures(path, (path,), _spread(frames, count, seed))


def _spread(frames: int, count: int, seed: int) -> tuple[int, ...]:
    """Returns different frame numbers, each new one in the widest gap (golden section)."""
    start = float(np.random.default_rng(seed).random())
    if count >= frames:
        return tuple(int(i) for i in np.random.default_rng(seed).permutation(frames))
    found: dict[int, None] = {}
    step = 0
    while len(found) < count:
        found[int((start + step * _GOLDEN) % 1 * frames)] = None
        step += 1
    return tuple(found)


def _frames(path: Path, positions: tuple[int, ...]) -> Iterator[tuple[int, U8]]:
    """Yields the places in ``positions`` and the frames, first to last, without those past the end.

    Decoding on to the next one is faster than seeking, which starts at a key frame.
    """
    capture = cv2.VideoCapture(filename=str(path))
    at = 0
    try:
        for position, place in sorted((at, place) for place, at in enumerate(positions)):
            if position - at > SEEK_FROM:
                capture.set(propId=cv2.CAP_PROP_POS_FRAMES, value=position)
                at = position
            while at < position and capture.grab():
                at += 1
            good, bgr = capture.read()
            at += 1
            if good:
                yield place, bgr
    finally:
        capture.release()
