"""A folder of pictures and person masks: finding the pairs, reading them, refusing what is wrong.

DIR/images/*.jpg|png... and DIR/masks/*.png, or DIR/SPLIT/images and DIR/SPLIT/masks. Masks hold
0 background, 1 person, 255 not scored; a folder whose masks hold only 0 and 255 means person by
255. DIR/manifest.json is optional: a list of {"file", "source", "split"}, where a
source "celeb:17" counts to "celeb".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.ops.metrics import IGNORE
from edgeseg.spec import one_line
from edgeseg.types import U8

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
PERSON = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, its mask, and the data set it came from ("" = not said)."""

    image: Path
    mask: Path
    source: str = ""


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """samples: sorted by name. person_is_255: the masks mark a person by 255, nothing is ignored.

    notes: what the user should know about how the folder was read.
    """

    path: Path
    samples: tuple[Sample, ...]
    person_is_255: bool = False
    notes: tuple[str, ...] = ()

    def read(self, sample: Sample) -> tuple[U8, U8]:
        """Returns a picture, BGR [H, W, 3], and its labels [H, W]: 0, 1, or 255 = not scored.

        Raises ConfigError when one is unreadable or their sizes differ.
        """
        image = cv2.imread(str(sample.image), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{sample.image}: not a readable picture")
        labels = read_mask(sample.mask)
        if labels.shape != image.shape[:2]:
            raise ConfigError(
                f"{sample.mask}: {labels.shape[1]}x{labels.shape[0]}, but its picture "
                f"{sample.image.name} is {image.shape[1]}x{image.shape[0]}"
            )
        return image, (labels == IGNORE).astype(np.uint8) if self.person_is_255 else labels


def open_folder(path: Path, *, split: str | None = None) -> LabelledFolder:
    """Finds the labelled pictures of a folder, or of one split of it. Raises ConfigError."""
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder; expected images/ and masks/ in it")
    manifest = _read_manifest(path)
    folder, by_row = _split_folder(path, split, manifest)
    images, masks = _files(folder / "images"), _files(folder / "masks")
    if by_row is not None:
        images = {stem: file for stem, file in images.items() if by_row.get(stem) == split}
    if not images:
        raise ConfigError(f"{folder / 'images'}: no pictures ({', '.join(PICTURES)})")
    missing = [file.name for stem, file in images.items() if stem not in masks]
    if missing:
        raise ConfigError(
            f"{folder / 'masks'}: {len(missing)} of {len(images)} pictures have no mask, "
            f"for example {missing[0]}; a mask has the picture's name, ending in .png"
        )
    samples = tuple(
        Sample(file, masks[stem], _source(manifest.get(stem, {}))) for stem, file in images.items()
    )
    person_is_255 = _check_labels(samples)
    notes = ("masks hold 0 and 255 only: 255 is taken as person",) if person_is_255 else ()
    return LabelledFolder(folder, samples, person_is_255, notes)


def read_mask(path: Path) -> U8:
    """Returns a mask's labels [H, W] as they are in the file. Raises ConfigError."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise ConfigError(f"{path}: not a readable mask")
    if mask.ndim == 3:
        if not all(np.array_equal(mask[..., 0], mask[..., c]) for c in (1, 2)):
            raise ConfigError(
                f"{path}: a colour picture, expected one channel with 0 background, 1 person, "
                "255 not scored (save palette masks as grey)"
            )
        mask = mask[..., 0]
    if mask.dtype != np.uint8:
        raise ConfigError(f"{path}: {mask.dtype} values, expected an 8-bit mask")
    labels: U8 = np.ascontiguousarray(mask)
    return labels


def _check_labels(samples: tuple[Sample, ...]) -> bool:
    """Reads every mask once; says whether 255 means person. Raises ConfigError for other values."""
    counts = np.zeros(256, np.int64)
    for sample in samples:
        mask_counts = np.bincount(read_mask(sample.mask).ravel(), minlength=256)
        odd = [v for v in np.flatnonzero(mask_counts).tolist() if v not in (0, PERSON, IGNORE)]
        if odd:
            found = ", ".join(map(str, odd[:4])) + (", ..." if len(odd) > 4 else "")
            raise ConfigError(
                f"{sample.mask}: label {found}; expected 0 background, 1 person, 255 not scored, "
                "or 0 and 255 only"
            )
        counts += mask_counts
    if counts[PERSON] == 0 and counts[IGNORE] == 0:
        raise ConfigError(f"{samples[0].mask.parent}: no mask holds a person (label 1, or 255)")
    return bool(counts[PERSON] == 0)


def _files(folder: Path) -> dict[str, Path]:
    """Returns the pictures of a folder by name without ending, sorted."""
    if not folder.is_dir():
        raise ConfigError(
            f"{folder.parent}: no {folder.name}/ folder in it; expected images/ and masks/"
        )
    found = (p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURES)
    return {p.stem: p for p in found if not p.name.startswith(".")}


def _split_folder(
    path: Path, split: str | None, manifest: dict[str, dict[str, object]]
) -> tuple[Path, dict[str, object] | None]:
    """Returns the folder with images/ and, if only the manifest knows the split, file -> split."""
    inside = sorted(p.parent.name for p in path.glob("*/images") if p.is_dir())
    rows = {stem: row["split"] for stem, row in manifest.items() if "split" in row}
    if split is None:
        if (path / "images").is_dir() or not inside:
            return path, None
        raise ConfigError(f"{path}: has the splits {', '.join(inside)}; choose one with --split")
    if split in inside:
        return path / split, None
    if split in rows.values() and (path / "images").is_dir():
        return path, rows
    known = sorted({*inside, *map(str, rows.values())})
    have = f"it has {', '.join(known)}" if known else "it has no splits: leave --split out"
    raise ConfigError(f"{path}: no split {split!r}; {have}")


def _read_manifest(path: Path) -> dict[str, dict[str, object]]:
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


def _source(row: dict[str, object]) -> str:
    """Returns the data set a row names: "celeb" of "celeb" and of "celeb:picture-17"."""
    return str(row.get("source", "")).partition(":")[0]


def _stem(name: str) -> str:
    """Returns a file name without its folder and, if it is a picture's, its ending."""
    file = Path(name)
    return file.stem if file.suffix.lower() in PICTURES else file.name
