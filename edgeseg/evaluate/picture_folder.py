"""Folders of pictures with something known about each: splits, sources, pairs, reading.

DIR/images/*.jpg|png..., or DIR/SPLIT/images. DIR/manifest.json is optional: a list of {"file",
"source", "split"}, where a source "celeb:17" counts to "celeb".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import ConfigError, near_match
from edgeseg.spec import one_line
from edgeseg.types import U8

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
COCO_FILE = "instances.json"

Manifest = Mapping[str, Mapping[str, object]]
"""Rows by file name without ending."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, its label picture, and the data set it came from ("" = not said)."""

    image: Path
    mask: Path
    source: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The folder that holds a split's images/, and what the manifest says about its pictures.

    only: names without ending of the split's pictures, None = all in the folder.
    """

    folder: Path
    manifest: Manifest
    only: frozenset[str] | None = None


def find_split(path: Path, split: str | None) -> Split:
    """Finds the folder of a split: a sub-folder, or a field of the manifest. Raises ConfigError."""
    if not path.is_dir():
        raise ConfigError(
            f"{path}: no such folder; expected images/ and masks/ in it, or labels/, or {COCO_FILE}"
        )
    manifest = _read_manifest(path)
    inside = sorted(
        {p.parent.name for kind in ("images", COCO_FILE) for p in path.glob(f"*/{kind}")}
    )
    rows = {stem: str(row["split"]) for stem, row in manifest.items() if "split" in row}
    has_pictures = (path / "images").is_dir()
    if split is None:
        if has_pictures or not inside:
            return Split(path, manifest)
        raise ConfigError(f"{path}: has the splits {', '.join(inside)}; choose one with --split")
    if split in inside:
        return Split(path / split, manifest)
    if split in rows.values() and has_pictures:
        return Split(path, manifest, frozenset(s for s, name in rows.items() if name == split))
    known = sorted({*inside, *rows.values()})
    have = f"it has {', '.join(known)}" if known else "it has no splits: leave --split out"
    raise ConfigError(f"{path}: no split {split!r}; {have}")


def find_pairs(split: Split, labels: str) -> tuple[Sample, ...]:
    """Returns each picture of images/ with its namesake of the folder ``labels``, by name.

    Raises ConfigError when there are no pictures or one has no namesake.
    """
    folder = split.folder
    images, masks = files_by_name(folder / "images"), files_by_name(folder / labels)
    if split.only is not None:
        images = {stem: file for stem, file in images.items() if stem in split.only}
    if not images:
        raise ConfigError(f"{folder / 'images'}: no pictures ({', '.join(PICTURES)})")
    missing = [file.name for stem, file in images.items() if stem not in masks]
    if missing:
        kind = labels.removesuffix("s")
        raise ConfigError(
            f"{folder / labels}: {len(missing)} of {len(images)} pictures have no {kind}, "
            f"for example {missing[0]}; a {kind} has the picture's name, ending in .png"
        )
    return tuple(
        Sample(file, masks[stem], source_of(split.manifest.get(stem, {})))
        for stem, file in images.items()
    )


def files_by_name(folder: Path) -> dict[str, Path]:
    """Returns the pictures of a folder by name without ending, sorted. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(
            f"{folder.parent}: no {folder.name}/ folder in it; expected images/ and "
            + ("masks/" if folder.name == "images" else f"{folder.name}/")
        )
    found = (p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURES)
    return {p.stem: p for p in found if not p.name.startswith(".")}


def check_sources(where: Path, wanted: Collection[str], known: Collection[str]) -> None:
    """Raises ConfigError for a source the data does not name."""
    for name in wanted:
        if name not in known:
            names = sorted(filter(None, known))
            have = f"it has {', '.join(names)}" if names else "its pictures name no source"
            raise ConfigError(f"{where}: no source {name!r}; {have}{near_match(name, names)}")


def keep_sources(
    where: Path, samples: tuple[Sample, ...], wanted: Collection[str]
) -> tuple[Sample, ...]:
    """Returns the samples of the wanted sources, all without a wish. Raises ConfigError."""
    check_sources(where, wanted, {sample.source for sample in samples})
    return tuple(s for s in samples if s.source in wanted) if wanted else samples


def read_picture(path: Path) -> U8:
    """Returns a picture, BGR [H, W, 3]. Raises ConfigError."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"{path}: not a readable picture")
    out: U8 = image
    return out


def read_labels(path: Path, expected: str) -> U8:
    """Returns the numbers [H, W] of an 8-bit label picture; of a palette PNG, its indices.

    expected: what the numbers mean, for the error of a colour picture. Raises ConfigError.
    """
    mask = _palette_indices(path) if _has_palette(path) else cv2.imread(str(path), _AS_IT_IS)
    if mask is None:
        raise ConfigError(f"{path}: not a readable mask")
    if mask.ndim == 3:
        if not all(np.array_equal(mask[..., 0], mask[..., c]) for c in (1, 2)):
            raise ConfigError(f"{path}: a colour picture, expected one channel with {expected}")
        mask = mask[..., 0]
    if mask.dtype != np.uint8:
        raise ConfigError(f"{path}: {mask.dtype} values, expected an 8-bit mask")
    labels: U8 = np.ascontiguousarray(mask)
    return labels


_AS_IT_IS = cv2.IMREAD_UNCHANGED


def _has_palette(path: Path) -> bool:
    """Says whether a file is a PNG whose pixels are indices (colour type 3 of its header)."""
    try:
        with path.open("rb") as file:
            header = file.read(26)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return header.startswith(b"\x89PNG") and header[25:] == b"\x03"


def _palette_indices(path: Path) -> U8 | None:
    """Returns the indices [H, W] of a palette PNG, which OpenCV would turn into colours."""
    import av

    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0), None)
    except av.FFmpegError:
        return None
    if frame is None or frame.format.name != "pal8":
        return None
    indices: U8 = frame.to_ndarray()[0]
    return indices


def check_size(labels: Path, shape: tuple[int, ...], picture: Path, size: tuple[int, int]) -> None:
    """Raises ConfigError when labels [H, W] do not have their picture's (width, height)."""
    if (shape[1], shape[0]) != tuple(size):
        raise ConfigError(
            f"{labels}: {shape[1]}x{shape[0]}, but its picture "
            f"{picture.name} is {size[0]}x{size[1]}"
        )


def source_of(row: Mapping[str, object]) -> str:
    """Returns the data set a row names: "celeb" of "celeb" and of "celeb:picture-17"."""
    return str(row.get("source", "")).partition(":")[0]


def _read_manifest(path: Path) -> Manifest:
    """Returns manifest.json's rows by file name without ending; empty without the file."""
    file = path / "manifest.json"
    if not file.is_file():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not readable JSON: {one_line(error)}") from error
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "file" in r for r in rows):
        raise ConfigError(
            f'{file}: expected a list of {{"file": ..., "source": ..., "split": ...}}'
        )
    return {_stem(str(row["file"])): row for row in rows}


def _stem(name: str) -> str:
    """Returns a file name without its folder and, if it is a picture's, its ending."""
    file = Path(name)
    return file.stem if file.suffix.lower() in PICTURES else file.name
