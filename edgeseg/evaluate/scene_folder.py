"""A folder of pictures and label pictures of many classes, such as CamVid's.

DIR/images and DIR/labels (or masks), or DIR/SPLIT/images and so on: 8-bit pictures of label ids,
255 = not scored. DIR/classes.txt, where it exists, says what the ids mean; without it they are the
model's own class numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.evaluate.class_names import (
    UNKNOWN,
    ClassMatch,
    DataClasses,
    Pairs,
    match_classes,
    read_classes,
)
from edgeseg.evaluate.picture_folder import (
    Sample,
    Split,
    check_size,
    files_by_name,
    find_pairs,
    keep_sources,
    read_labels,
)
from edgeseg.ops.metrics import IGNORE
from edgeseg.types import U8


@dataclass(frozen=True, slots=True)
class SceneFolder:
    """samples: sorted by name. match: how label ids and the model's classes become scored ones."""

    path: Path
    samples: tuple[Sample, ...]
    match: ClassMatch
    notes: tuple[str, ...] = ()

    def truth(self, sample: Sample, size: tuple[int, int]) -> U8:
        """Returns the scored classes [H, W] of a picture of (width, height), 255 = not scored.

        Raises ConfigError.
        """
        labels = read_labels(sample.mask, "a class id for each pixel")
        check_size(sample.mask, labels.shape, sample.image, size)
        truth: U8 = self.match.truth[labels]
        return truth


def open_scenes(
    split: Split,
    model: Sequence[str],
    *,
    void: Sequence[str] = (),
    pairs: Pairs = (),
    sources: Collection[str] = (),
) -> SceneFolder:
    """Opens the label pictures of a split and reads each once. Raises ConfigError.

    model: names of the model's classes by number. void: ids or names not to be scored. pairs:
    classes of the data and of the model that belong together. sources: only these.
    """
    kind = "labels" if (split.folder / "labels").is_dir() else "masks"
    samples = find_pairs(split, kind)
    if split.only is None:
        _refuse_orphans(split.folder / kind, samples)
    samples = keep_sources(split.folder, samples, sources)
    classes = read_classes(split.folder, model, void)
    match = match_classes(classes, model, pairs)
    counts = _count_ids(samples, match, classes)
    if len(model) == 2 and kind == "masks" and not counts[1:IGNORE].any() and counts[IGNORE]:
        return _by_255(SceneFolder(split.folder, samples, match), model[1])
    no_class_above_1 = not counts[2:IGNORE].any() and classes.where == "the model"
    if kind == "masks" and no_class_above_1 and len(model) > 2:
        raise ConfigError(
            f"{split.folder / kind}: person masks (0, 1, 255), but the model has the "
            f"{len(model)} classes {', '.join(model)}; expected their ids, best in labels/"
        )
    if not counts[match.truth < UNKNOWN].any():
        raise ConfigError(
            f"{split.folder / kind}: every pixel is void; expected {_expected(classes)}"
        )
    return SceneFolder(split.folder, samples, match, _notes(classes, model, match))


def _by_255(folder: SceneFolder, name: str) -> SceneFolder:
    """Lets 255 mean the second of two classes, as in masks drawn in black and white."""
    truth = folder.match.truth.copy()
    truth[IGNORE] = 1
    match = ClassMatch(folder.match.names, truth, folder.match.predicted)
    note = f"masks hold 0 and 255 only: 255 is taken as {name}"
    return SceneFolder(folder.path, folder.samples, match, (note,))


def _refuse_orphans(folder: Path, samples: Sequence[Sample]) -> None:
    known = {sample.image.stem for sample in samples}
    orphans = [file.name for stem, file in files_by_name(folder).items() if stem not in known]
    if orphans:
        raise ConfigError(
            f"{folder}: {len(orphans)} of them without a picture, for example {orphans[0]}; "
            "its picture has the same name, in images/"
        )


def _count_ids(
    samples: Sequence[Sample], match: ClassMatch, classes: DataClasses
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns how many pixels each id has, int64 [256]. Raises ConfigError for foreign ids."""
    total = np.zeros(256, np.int64)
    for sample in samples:
        labels = read_labels(sample.mask, _expected(classes))
        counts = np.bincount(labels.ravel(), minlength=256)
        foreign = np.flatnonzero((counts > 0) & (match.truth == UNKNOWN)).tolist()
        if foreign:
            found = ", ".join(map(str, foreign[:4])) + (", ..." if len(foreign) > 4 else "")
            raise ConfigError(
                f"{sample.mask}: label {found}; expected {_expected(classes)}; "
                f"if it is not to be scored: --void {foreign[0]}"
            )
        total += counts
    return total


def _expected(classes: DataClasses) -> str:
    ids, void = sorted(classes.names), sorted(classes.void)
    whole = ids == list(range(ids[0], ids[-1] + 1)) and len(ids) > 2
    listed = f"{ids[0]} to {ids[-1]}" if whole else ", ".join(map(str, ids))
    return f"the ids {listed} of {classes.where}, or {', '.join(map(str, void))} for void"


def _notes(classes: DataClasses, model: Sequence[str], match: ClassMatch) -> tuple[str, ...]:
    void = sorted(classes.void - {IGNORE})
    notes = [f"not scored: id {', '.join(map(str, void))} (void) and {IGNORE}"] if void else []
    unused = [name for n, name in enumerate(model) if match.predicted[n] == len(match.names)]
    if unused:
        notes.append(
            f"classes the data does not have, wrong wherever predicted: {', '.join(unused)}"
        )
    return tuple(notes)
