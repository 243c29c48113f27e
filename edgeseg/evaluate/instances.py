"""Scores of found objects: mask and box AP, over all pictures, per class and per source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.evaluate.average_precision import KINDS, CocoScorer, Found, Kind, Precision
from edgeseg.evaluate.class_names import plain_name
from edgeseg.evaluate.coco_data import CocoData, CocoImage, CocoObject
from edgeseg.evaluate.coco_masks import decode
from edgeseg.evaluate.drawing import HIT, INVENTED, MISSED, UNSCORED, Bgr, outline
from edgeseg.evaluate.picture_folder import check_size
from edgeseg.evaluate.scoring import Confusion, number
from edgeseg.labels import LabelSet
from edgeseg.ops.instances import cutoff, object_mask, object_rect
from edgeseg.types import U8, Instances, Result

AP_NAMES: tuple[tuple[str, float | None], ...] = (("ap", None), ("ap50", 0.5), ("ap75", 0.75))
MATCH = 0.5
"""Mask IoU from which an object counts as found, in drawings and in what the worst pictures are."""
Verdict = Literal["right", "wrong", "excused"]
"""Of a predicted object; excused: it is part of a crowd, which counts neither way."""
_COLORS: dict[Verdict, Bgr] = {"right": HIT, "wrong": INVENTED, "excused": UNSCORED}


class InstanceScoring:
    """A Scoring of an instance model on a COCO data set."""

    def __init__(self, data: CocoData, labels: LabelSet, *, shown_from: float) -> None:
        """labels: the model's classes. shown_from: score from which an object is drawn, and
        counts for the worst pictures; AP uses all that the model gives.

        Raises ConfigError when no class of the model is in the data, or pycocotools is missing.
        """
        self._data = data
        self._labels = labels
        self._shown_from = shown_from
        self._scorer = CocoScorer(data)
        self._masks = self._scorer.masks
        self._categories = _matching(data, labels)
        self._scored = sorted(set(self._categories.values()))
        self._truth: dict[int, list[CocoObject]] = {image.id: [] for image in data.images}
        for one in data.objects:
            if one.category_id in self._scored:
                self._truth[one.image_id].append(one)
        if not any(self._truth.values()):
            raise ConfigError(
                f"{data.path}: no annotation of a class the model has ({', '.join(labels.names)})"
            )
        self._found: list[Found] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Says which classes are left out."""
        present = {one.category_id for one in self._data.objects}
        lost = [n for i, n in self._data.categories.items() if i in present - set(self._scored)]
        notes = list(self._data.notes)
        if lost:
            notes.append(f"left out, the model does not have them: {', '.join(lost)}")
        unjudged = [name for n, name in enumerate(self._labels.names) if n not in self._categories]
        if unjudged:
            notes.append(f"left out, the data does not have them: {', '.join(unjudged)}")
        return tuple(notes)

    @property
    def pictures(self) -> Sequence[Path]:
        """The picture files, numbered by position."""
        return [image.path for image in self._data.images]

    def add(self, index: int, result: Result) -> float:
        """Collects a picture's objects; returns the F1 of those shown, at mask IoU .5."""
        image = self._data.images[index]
        check_size(
            self._data.path, (image.size.height, image.size.width), image.path, result.frame_size
        )
        found = self._predicted(image, result)
        self._found += found
        shown = [one for one in found if one.score >= self._shown_from]
        truth = self._truth[image.id]
        verdicts, _ = self._matches(shown, truth)
        counted = len(shown) - verdicts.count("excused") + sum(not one.crowd for one in truth)
        return 2 * verdicts.count("right") / counted if counted else 1.0

    def figures(self) -> dict[str, Any]:
        """Returns AP, AP50 and AP75, each of masks and boxes; None without an object."""
        sources: dict[str, list[CocoImage]] = {}
        for image in self._data.images:
            if image.source:
                sources.setdefault(image.source, []).append(image)
        return {
            **self._of(self._data.images),
            "objects_found": len(self._found),
            "sources": {name: self._of(images) for name, images in sorted(sources.items())},
        }

    def confusion(self) -> Confusion | None:
        """Objects are no pixels: None."""
        return None

    def drawing(self, index: int, image: U8, result: Result) -> U8:
        """Returns the truth beside what was found: right ones green, misses red, others blue."""
        row = self._data.images[index]
        found = [one for one in self._predicted(row, result) if one.score >= self._shown_from]
        truth = self._truth[row.id]
        verdicts, missed = self._matches(found, truth)
        name = {i: self._labels.names[n] for n, i in self._categories.items()}
        left, right = image.copy(), image.copy()
        for one, lost in zip(truth, missed, strict=True):
            color = UNSCORED if one.crowd else MISSED if lost else HIT
            outline(left, decode(self._masks[one.id]), color, name[one.category_id])
        judged = sorted(zip(found, verdicts, strict=True), key=lambda pair: pair[1] == "wrong")
        for guess, verdict in judged:
            caption = f"{name[guess.category_id]} {guess.score:.2f}"
            outline(right, decode(guess.mask), _COLORS[verdict], caption)
        return np.hstack([left, right])

    def legend(self) -> dict[str, Bgr]:
        """Returns what the colours of a drawing mean."""
        return {
            "correct (left: truth, right: found)": HIT,
            "missed": MISSED,
            "wrong": INVENTED,
            "crowd": UNSCORED,
        }

    def _predicted(self, image: CocoImage, result: Result) -> list[Found]:
        """Returns a result's objects of the classes that are judged in a picture, best first."""
        if not isinstance(result, Instances):
            raise TypeError(f"expected Instances, got {type(result).__name__}")
        found = []
        for index, label in enumerate(result.labels.tolist()):
            category = self._categories.get(label)
            if category is None or not (image.judged is None or category in image.judged):
                continue
            mask = np.zeros((image.size.height, image.size.width), np.uint8)
            rect = object_rect(result, index, image.size)
            if rect is not None:
                inside = object_mask(result, index, rect) > cutoff(result.threshold)
                mask[rect.top : rect.bottom, rect.left : rect.right] = inside
            left, top, right, bottom = (float(side) for side in result.boxes_xyxy[index])
            box = (left, top, right - left, bottom - top)
            score = float(result.scores[index])
            found.append(Found(image.id, category, score, self._scorer.encode(mask), box))
        return sorted(found, key=lambda one: -one.score)

    def _matches(
        self, found: Sequence[Found], truth: Sequence[CocoObject]
    ) -> tuple[list[Verdict], list[bool]]:
        """Judges objects, best first, at mask IoU .5; also says which true ones are missed."""
        verdicts: list[Verdict] = []
        missed = [not one.crowd for one in truth]
        crowd = [one.crowd for one in truth]
        overlaps = self._scorer.overlaps(
            [one.mask for one in found], [self._masks[one.id] for one in truth], crowd
        )
        for guess, row in zip(found, overlaps, strict=True):
            same = [
                n
                for n, one in enumerate(truth)
                if one.category_id == guess.category_id and row[n] >= MATCH
            ]
            free = [n for n in same if missed[n]]
            if free:
                missed[max(free, key=lambda n: float(row[n]))] = False
                verdicts.append("right")
            else:
                verdicts.append("excused" if any(crowd[n] for n in same) else "wrong")
        return verdicts, missed

    def _of(self, images: Sequence[CocoImage]) -> dict[str, Any]:
        """Returns the figures of some pictures."""
        ids = [image.id for image in images]
        precisions = {
            kind: self._scorer.precision(self._found, kind, categories=self._scored, images=ids)
            for kind in KINDS
        }
        here = set(ids)
        objects = Counter(
            one.category_id
            for one in self._data.objects
            if one.image_id in here and not one.crowd and one.category_id in self._scored
        )
        classes = {
            name: {"objects": objects[self._categories[n]], **_aps(precisions, self._categories[n])}
            for n, name in enumerate(self._labels.names)
            if self._categories.get(n) in objects
        }
        return {
            "images": len(images),
            "objects": objects.total(),
            **_aps(precisions),
            "classes": classes,
        }


def _aps(
    precisions: Mapping[Kind, Precision], category: int | None = None
) -> dict[str, dict[str, float | None]]:
    return {
        name: {kind: number(p.ap(category, iou=iou)) for kind, p in precisions.items()}
        for name, iou in AP_NAMES
    }


def _matching(data: CocoData, labels: LabelSet) -> dict[int, int]:
    """Returns the data's category of each class number of the model. Raises ConfigError."""
    by_name = {plain_name(name): i for i, name in data.categories.items()}
    found = {
        n: by_name[plain_name(name)]
        for n, name in enumerate(labels.names)
        if plain_name(name) in by_name
    }
    if not found:
        raise ConfigError(
            f"{data.path}: its categories ({', '.join(data.categories.values())}) have none of the "
            f"model's classes ({', '.join(labels.names)})"
        )
    return found
