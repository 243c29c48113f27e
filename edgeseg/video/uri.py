"""What a SOURCE word on the command line means."""

from __future__ import annotations

import glob
import os
import re
from enum import Enum
from pathlib import Path

from edgeseg.errors import ConfigError, SourceNotFound, near_match

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2"}
)
"""Endings that count as pictures in folders and globs, lower case."""

STREAM_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "udp", "tcp", "rtmp", "srt"})


class SourceKind(Enum):
    """Which source class serves a URI."""

    CAMERA = "camera"
    FILE = "file"
    IMAGES = "images"
    STREAM = "stream"
    GSTREAMER = "gstreamer"
    SYNTHETIC = "synthetic"


_SCHEMES = {
    **dict.fromkeys(STREAM_SCHEMES, SourceKind.STREAM),
    "csi": SourceKind.GSTREAMER,
    "gst": SourceKind.GSTREAMER,
    "synthetic": SourceKind.SYNTHETIC,
}


def classify(uri: str) -> SourceKind:
    """Returns what a SOURCE is; files, folders and globs must exist.

    Raises:
        SourceNotFound: no such file or folder, an empty file, a folder or glob without pictures.
        ConfigError: an empty word or an unknown ``scheme://``.
    """
    if not uri.strip():
        raise ConfigError("source: empty; expected a camera such as 0, a file, a folder or a URL")
    if uri.isdecimal() or re.fullmatch(r"/dev/video\d+", uri):
        return SourceKind.CAMERA
    if uri.startswith("gst:"):
        return SourceKind.GSTREAMER
    scheme, separator, _ = uri.partition("://")
    if separator and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return _by_scheme(uri, scheme.lower())
    return _by_path(uri)


def image_paths(uri: str) -> list[Path]:
    """Returns the pictures of one image, a folder or a glob, in natural order (2 before 10).

    Raises SourceNotFound for a folder that cannot be listed.
    """
    path = Path(uri)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [p for p in _listed(path) if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    else:
        found = [Path(p) for p in glob.glob(uri) if os.path.isfile(p)]
    return sorted(found, key=_natural)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        why = error.strerror or error
        raise SourceNotFound(f"{folder}: the folder cannot be listed: {why}") from error


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p.lower()) for p in parts]


def _by_scheme(uri: str, scheme: str) -> SourceKind:
    if scheme == "file":
        raise ConfigError(f"{uri}: give the plain path instead of a file:// URL")
    if scheme not in _SCHEMES:
        known = sorted(_SCHEMES)
        hint = near_match(scheme, known) or f"; known: {', '.join(known)}"
        raise ConfigError(f"{uri}: unknown kind of source {scheme}://{hint}")
    return _SCHEMES[scheme]


def _by_path(uri: str) -> SourceKind:
    if os.path.isdir(uri):
        return _folder(uri)
    if os.path.exists(uri):
        if not os.path.isfile(uri):
            raise SourceNotFound(f"{uri}: a device or pipe; expected a file, a folder or a camera")
        if os.path.getsize(uri) == 0:
            raise SourceNotFound(f"{uri}: the file is empty (0 bytes)")
        return SourceKind.IMAGES if _is_image(uri) else SourceKind.FILE
    if any(c in uri for c in "*?["):
        if not image_paths(uri):
            raise SourceNotFound(f"{uri}: no file matches this pattern")
        return SourceKind.IMAGES
    raise SourceNotFound(f"{uri}: no such file or folder{_near(uri)}")


def _is_image(uri: str) -> bool:
    return os.path.splitext(uri)[1].lower() in IMAGE_SUFFIXES


def _folder(uri: str) -> SourceKind:
    if image_paths(uri):
        return SourceKind.IMAGES
    names = sorted(os.listdir(uri))
    held = (
        f"it holds {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" if names else "empty"
    )
    raise SourceNotFound(
        f"{uri}: no pictures in this folder ({held}); expected .png, .jpg, .bmp, .webp or .tif"
    )


def _near(uri: str) -> str:
    """Returns a hint: a similar name in that folder, or that the folder is missing too."""
    folder, name = os.path.split(uri)
    if folder and not os.path.isdir(folder):
        return f" (the folder {folder} does not exist)"
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return ""
    return near_match(name, names)
