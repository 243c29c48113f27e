"""Frames of a folder of pictures or of a video, for what needs no labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeseg.assemble import open_source
from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError
from edgeseg.evaluate.picture_folder import PICTURES, read_picture
from edgeseg.ops.planes import from_bgr
from edgeseg.types import Frame


def spread_frames(path: Path, count: int) -> list[Frame]:
    """Returns at most ``count`` frames, evenly spread over a folder's pictures or a video.

    A folder's own ``images/``, or those of its sub-folders, are taken where it has them. Raises
    ConfigError when there are no pictures, SourceNotFound and SourceError for a video.
    """
    if not path.is_dir():
        return _spread_video(path, count)
    pictures = pictures_of(path)
    chosen = [pictures[len(pictures) * n // count] for n in range(min(count, len(pictures)))]
    if len(pictures) > count:
        return [_frame(picture, index) for index, picture in enumerate(chosen)]
    return [_frame(picture, index) for index, picture in enumerate(pictures)]


def first_frames(path: Path, count: int) -> list[Frame]:
    """Returns at most ``count`` consecutive frames from the start of a video.

    Raises ConfigError for a folder, SourceNotFound and SourceError for what is no video.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; flicker needs the consecutive frames of a video file")
    return list(_video(path, count))


def pictures_of(path: Path) -> list[Path]:
    """Returns the pictures of a folder, sorted by path. Raises ConfigError when it has none."""
    roots = [path / "images"] if (path / "images").is_dir() else sorted(path.glob("*/images"))
    found = sorted(
        file
        for root in roots or [path]
        for file in root.rglob("*")
        if file.suffix.lower() in PICTURES and file.is_file() and not file.name.startswith(".")
    )
    if not found:
        raise ConfigError(f"{path}: no pictures in this folder ({', '.join(PICTURES)})")
    return found


def _frame(picture: Path, index: int) -> Frame:
    return Frame(from_bgr(read_picture(picture)).freeze(), index, 0.0, name=picture.name)


def _video(path: Path, count: int | None) -> Iterator[Frame]:
    source = open_source(SourceConfig(uri=str(path), max_frames=count))
    try:
        while (frame := source.read()) is not None:
            yield frame
    finally:
        source.close()


def _spread_video(path: Path, count: int) -> list[Frame]:
    """Reads a video once; where it does not say its length, twice."""
    source = open_source(SourceConfig(uri=str(path)))
    total = source.info.frames
    source.close()
    total = total or sum(1 for _ in _video(path, None))
    wanted = {total * n // count for n in range(count)}
    return [frame for frame in _video(path, None) if frame.index in wanted]
