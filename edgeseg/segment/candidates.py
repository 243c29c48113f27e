"""What detectors propose, one reader per kind of network: YOLACT, and YOLO with masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgeseg.errors import ModelError
from edgeseg.protocols import Tensor
from edgeseg.segment.activation import shape_text, sigmoid, softmax
from edgeseg.spec import ModelSpec
from edgeseg.types import F32, I32, Size

MOST = 1000
"""Candidates that are looked at, the best; more come only from networks without any training."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Proposals whose score reaches the threshold, in any order, all numbers finite.

    boxes_xyxy: float32 [n, 4] in pixels of the network's input. scores: float32 [n] in 0..1.
    labels: int32 [n] without background. coefficients: float32 [n, K].
    damaged: NaN or infinity was among the outputs.
    """

    boxes_xyxy: F32
    scores: F32
    labels: I32
    coefficients: F32
    damaged: bool

    def __len__(self) -> int:
        return len(self.scores)


Reader = Callable[[Mapping[str, Tensor], int], Candidates]
"""Outputs and the number of prototypes -> candidates. Raises ModelError for unusable shapes."""


def yolact_reader(spec: ModelSpec) -> Reader:
    """Boxes [1, N, 4] in 0..1 of the input, scores [1, N, C or 1 + C], coefficients [1, N, K].

    A column of scores more than there are classes is a background, the first. Every class of a
    proposal that reaches the threshold counts, as in yolact's ``detection.py``.
    """
    names = [spec.output(m).name for m in ("boxes", "scores", "coefficients")]
    activation, classes = spec.output("scores").activation, len(spec.label_set)
    least, sides = np.float32(spec.thresholds.score), _sides(spec.input.size)

    def read(outputs: Mapping[str, Tensor], prototypes: int) -> Candidates:
        boxes, scores, coefficients = (_table(outputs[name], name) for name in names)
        if not len(boxes) == len(scores) == len(coefficients):
            raise ModelError(
                f"outputs {', '.join(map(repr, names))} gave {len(boxes)}, {len(scores)} and "
                f"{len(coefficients)} proposals, expected as many of each"
            )
        _expect_width(boxes, (4,), names[0], "left, top, right, bottom")
        _expect_width(scores, (classes, classes + 1), names[1], "as the card's classes")
        _expect_width(coefficients, (prototypes,), names[2], "one per prototype")
        scores = _activated(scores, activation)
        reached = scores >= least
        background = scores.shape[1] - classes
        reached[:, :background] = False
        # Of the whole table at once: 0.006 ms for 8500x2, the best of each row would be 0.3 ms.
        found = np.flatnonzero(reached)
        row, column = np.divmod(_best(found, scores.ravel()), scores.shape[1])
        damaged = not np.isfinite(scores.sum())
        labels = column - background
        return _usable(
            boxes[row] * sides, scores[row, column], labels, coefficients[row], damaged=damaged
        )

    return read


def yolo_reader(spec: ModelSpec) -> Reader:
    """YOLO with masks, exported without suppression; boxes are centre, size in input pixels.

    [1, 4 + C + K, N] as ultralytics exports v8 and later, or turned; or [1, N, 5 + C + K], which is
    v5: the fifth number multiplies the classes' scores. Each proposal has its best class only.
    """
    name, classes = spec.output("detections").name, len(spec.label_set)
    least = np.float32(spec.thresholds.score)

    def read(outputs: Mapping[str, Tensor], prototypes: int) -> Candidates:
        rows, skip = _yolo_rows(outputs[name], name, classes, prototypes)
        scores = rows[skip : skip + classes]
        best = scores.max(axis=0)  # NaN comes through
        if skip == 5:
            best = best * rows[4]
        found = _best(np.flatnonzero(best >= least), best)
        x, y, half_wide, half_high = rows[:4, found] * _HALF
        return _usable(
            np.stack([x - half_wide, y - half_high, x + half_wide, y + half_high], axis=1),
            best[found],
            scores[:, found].argmax(axis=0),
            rows[skip + classes :, found].T,
            damaged=not np.isfinite(best.sum()),
        )

    return read


_HALF = np.array([[1], [1], [0.5], [0.5]], np.float32)


def _yolo_rows(tensor: Tensor, name: str, classes: int, prototypes: int) -> tuple[F32, int]:
    """Returns the detections as [4 or 5 + C + K, N], and how many rows precede the classes."""
    wide = classes + prototypes
    if tensor.ndim == 3 and tensor.shape[0] == 1:
        table = np.asarray(tensor[0], np.float32)
        if len(table) == 4 + wide:
            return table, 4
        if table.shape[1] in (4 + wide, 5 + wide):
            return np.ascontiguousarray(table.T), table.shape[1] - wide
    raise ModelError(
        f"output {name!r} gave shape {shape_text(tensor)}, expected 1x{4 + wide}xN: 4 numbers for "
        f"the box, {classes} classes on the card, {prototypes} prototypes; or 1xNx{5 + wide} (v5)"
    )


def _activated(scores: F32, activation: str) -> F32:
    """Returns probabilities; with an activation a new array. A softmax of 8500x81 takes 5 ms."""
    if activation == "none":
        return scores
    return (sigmoid if activation == "sigmoid" else softmax)(scores.copy())


def _best(found: np.ndarray, scores: F32) -> np.ndarray:
    if len(found) <= MOST:
        return found
    return found[np.argpartition(-scores[found], MOST)[:MOST]]


def _sides(network: Size) -> F32:
    return np.array([network.width, network.height] * 2, np.float32)


def _table(tensor: Tensor, name: str) -> F32:
    if tensor.ndim != 3 or tensor.shape[0] != 1:
        raise ModelError(
            f"output {name!r} gave shape {shape_text(tensor)}, expected 1xNx..., a row a proposal"
        )
    return np.ascontiguousarray(tensor[0], np.float32)


def _expect_width(table: F32, widths: tuple[int, ...], name: str, what: str) -> None:
    if table.shape[1] not in widths:
        wanted = " or ".join(map(str, widths))
        background = ", a background first" if len(widths) > 1 else ""
        raise ModelError(
            f"output {name!r} gave {table.shape[1]} numbers a proposal, expected {wanted}: "
            f"{what}{background}"
        )


def _usable(
    boxes_xyxy: F32, scores: F32, labels: np.ndarray, coefficients: F32, *, damaged: bool
) -> Candidates:
    """Drops proposals in which anything is not a number."""
    fine = np.isfinite(scores + boxes_xyxy.sum(axis=1) + coefficients.sum(axis=1))
    damaged = damaged or not fine.all()
    if not fine.all():
        boxes_xyxy, scores = boxes_xyxy[fine], scores[fine]
        labels, coefficients = labels[fine], coefficients[fine]
    return Candidates(
        boxes_xyxy,
        np.minimum(scores, np.float32(1)),
        labels.astype(np.int32),
        coefficients,
        damaged,
    )
