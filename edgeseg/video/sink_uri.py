"""What a sink's name means: which kind of sink, and the part of the name that is a path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from edgeseg.errors import SinkRefused, near_match
from edgeseg.video.sequence import INDEX_NAME, NumberedFiles


class SinkKind(Enum):
    """The kinds of sinks a name can ask for."""

    VIDEO = "video file"
    IMAGES = "image sequence"
    MASKS = "label pictures"
    CSV = "table"
    COCO = "COCO file"
    WINDOW = "window"
    NULL = "nothing"


VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_SCHEMES = {
    "window://": SinkKind.WINDOW,
    "null://": SinkKind.NULL,
    "masks:": SinkKind.MASKS,
    "csv:": SinkKind.CSV,
    "coco:": SinkKind.COCO,
}
_WANTED = {
    SinkKind.MASKS: "a folder after masks:, such as masks:labels/",
    SinkKind.CSV: "a file after csv:, such as csv:areas.csv",
    SinkKind.COCO: "a file after coco:, such as coco:objects.json",
}
_KNOWN = (
    "out.mp4, out.mov, out.mkv, out.webm, folder/, f_%06d.png, masks:folder/, csv:file.csv, "
    "coco:file.json, window://, null://"
)


class SinkAddress(NamedTuple):
    """A sink's kind and the path in its name; the path is empty for ``window://``, ``null://``."""

    kind: SinkKind
    path: str


def classify_sink(uri: str) -> SinkKind:
    """Returns the kind of sink a name asks for. Raises SinkRefused for a name that means none."""
    return parse_sink(uri).kind


def parse_sink(uri: str) -> SinkAddress:
    """Splits a sink's name into kind and path.

    Raises SinkRefused with the nearest known name and the list of forms.
    """
    for scheme, kind in _SCHEMES.items():
        if uri.lower().startswith(scheme):
            return _scheme_address(uri, scheme, kind)
    if "://" in uri or _looks_like_scheme(uri):
        raise _unknown(uri, near_match(_scheme_of(uri), list(_SCHEMES)))
    suffix = Path(uri).suffix.lower()
    if uri.endswith(("/", "\\")) or (uri and not suffix and Path(uri).is_dir()):
        return SinkAddress(SinkKind.IMAGES, uri)
    if suffix in VIDEO_SUFFIXES:
        return SinkAddress(SinkKind.VIDEO, uri)
    if suffix in IMAGE_SUFFIXES:
        return SinkAddress(SinkKind.IMAGES, uri)
    if uri and not suffix:
        raise _unknown(uri, f"; for a folder of pictures write {uri}/")
    raise _unknown(uri, near_match(suffix, [*VIDEO_SUFFIXES, *IMAGE_SUFFIXES]))


def refuse_clashes(
    sinks: Sequence[str], *, inputs: Sequence[str | Path], report: str | None
) -> None:
    """Raises SinkRefused when outputs would write the same file, or over something that is read.

    inputs: files the run reads; names that are no files are ignored. report: the figures' file.
    """
    read = {_identity(Path(name)) for name in inputs if Path(name).is_file()}
    taken: dict[tuple[int, int] | str, str] = {}
    outputs = [(uri, path) for uri in sinks for path in _written_by(uri)]
    if report is not None:
        outputs.append((f"report {report}", Path(report)))
    for name, path in outputs:
        target = _identity(path)
        if target in read:
            raise SinkRefused(f"{name}: this run reads that file; choose another output name")
        if target in taken:
            raise SinkRefused(f"{name}: {taken[target]} writes the same files; choose another name")
        taken[target] = name


def _written_by(uri: str) -> list[Path]:
    """Returns the files a sink writes; a numbered sequence stands as its pattern."""
    kind, path = parse_sink(uri)
    if kind in (SinkKind.WINDOW, SinkKind.NULL):
        return []
    if kind is SinkKind.MASKS:
        return [NumberedFiles(f"{path}/").pattern, Path(path) / INDEX_NAME]
    return [NumberedFiles(path).pattern if kind is SinkKind.IMAGES else Path(path)]


def _identity(path: Path) -> tuple[int, int] | str:
    """Returns the same for every name of a file, links of both kinds included."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _scheme_address(uri: str, scheme: str, kind: SinkKind) -> SinkAddress:
    rest = uri[len(scheme) :]
    if kind in _WANTED and not rest:
        raise SinkRefused(f"sink {uri}: expected {_WANTED[kind]}")
    if kind not in _WANTED and rest:
        raise SinkRefused(f"sink {uri}: {scheme} takes nothing after it, got {rest!r}")
    return SinkAddress(kind, rest)


def _looks_like_scheme(uri: str) -> bool:
    head, colon, _ = uri.partition(":")
    return bool(colon) and len(head) > 1 and head.isalnum()  # one letter is a Windows drive


def _scheme_of(uri: str) -> str:
    head, _, rest = uri.partition(":")
    return f"{head}://" if rest.startswith("//") else f"{head}:"


def _unknown(uri: str, hint: str) -> SinkRefused:
    return SinkRefused(f"sink {uri!r} is not known{hint}; known: {_KNOWN}")
