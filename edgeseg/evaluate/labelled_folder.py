"""A folder of pictures and person masks: reading it, refusing what is wrong.

DIR/images and DIR/masks, or DIR/SPLIT/images and DIR/SPLIT/masks. Masks hold 0 background, 1
person, 255 not scored; a folder whose masks hold only 0 and 255 means person by 255.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.evaluate.picture_folder import (
    Sample,
    Split,
    check_size,
    find_pairs,
    find_split,
    keep_sources,
    read_labels,
    read_picture,
)
from edgeseg.ops.metrics import IGNORE
from edgeseg.types import U8

PERSON = 1
EXPECTED = "0 background, 1 person, 255 not scored"


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
        image = read_picture(sample.image)
        return image, self.truth(sample, (image.shape[1], image.shape[0]))

    def truth(self, sample: Sample, size: tuple[int, int]) -> U8:
        """Returns the labels of a picture of (width, height). Raises ConfigError."""
        labels = read_labels(sample.mask, EXPECTED)
        check_size(sample.mask, labels.shape, sample.image, size)
        return (labels == IGNORE).astype(np.uint8) if self.person_is_255 else labels


def open_folder(
    path: Path, *, split: str | None = None, sources: Collection[str] = ()
) -> LabelledFolder:
    """Finds the labelled pictures of a folder, or of one split of it. Raises ConfigError."""
    return open_split(find_split(path, split), sources=sources)


def open_split(split: Split, *, sources: Collection[str] = ()) -> LabelledFolder:
    """Opens the person masks of a split. Raises ConfigError."""
    samples = keep_sources(split.folder, find_pairs(split, "masks"), sources)
    person_is_255 = _check_labels(samples)
    notes = ("masks hold 0 and 255 only: 255 is taken as person",) if person_is_255 else ()
    return LabelledFolder(split.folder, samples, person_is_255, notes)


def _check_labels(samples: tuple[Sample, ...]) -> bool:
    """Reads every mask once; says whether 255 means person. Raises ConfigError for other values."""
    counts = np.zeros(256, np.int64)
    for sample in samples:
        mask_counts = np.bincount(read_labels(sample.mask, EXPECTED).ravel(), minlength=256)
        odd = [v for v in np.flatnonzero(mask_counts).tolist() if v not in (0, PERSON, IGNORE)]
        if odd:
            found = ", ".join(map(str, odd[:4])) + (", ..." if len(odd) > 4 else "")
            raise ConfigError(
                f"{sample.mask}: label {found}; expected {EXPECTED}, or 0 and 255 only"
            )
        counts += mask_counts
    if counts[PERSON] == 0 and counts[IGNORE] == 0:
        raise ConfigError(f"{samples[0].mask.parent}: no mask holds a person (label 1, or 255)")
    return bool(counts[PERSON] == 0)
