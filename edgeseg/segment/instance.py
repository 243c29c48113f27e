"""Network outputs to Instances: proposals with prototypes, or finished objects (Mask R-CNN)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ModelError
from edgeseg.once import TellOnce
from edgeseg.ops.boxes import Suppression, clip, suppress, to_frame
from edgeseg.protocols import Tensor
from edgeseg.segment.activation import shape_text, sigmoid
from edgeseg.segment.candidates import Reader
from edgeseg.segment.cropping import Extent, cut
from edgeseg.segment.prototypes import Prototypes, assemble, covered, fitted, to_levels
from edgeseg.spec import ModelSpec
from edgeseg.types import F32, I32, U8, Geometry, Instances, Size

log = logging.getLogger(__name__)

SMALLEST_PX = 0.5
"""A box less wide or high than this in the frame holds no pixel's centre for certain: dropped."""
_NAN = (
    "outputs of %r hold NaN or infinity; such proposals are dropped: is the model file damaged, or "
    "are mean and std wrong?"
)


class PrototypeDecoder:
    """Proposals, suppression, then masks of what is left. Thread-safe, without memory."""

    def __init__(
        self,
        spec: ModelSpec,
        *,
        reader: Reader,
        suppression: Suppression,
        threshold: float | None = None,
    ) -> None:
        """threshold: probability from which a pixel is the object, None = the model's own."""
        self._spec = spec
        self._read = reader
        self._suppression = suppression
        self._output = spec.output("prototypes")
        self._label_set = spec.label_set
        self._threshold = spec.thresholds.decision if threshold is None else threshold
        self._warn = TellOnce(log)

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> Instances:
        """Returns the objects of one frame. Raises ModelError for outputs of unusable shape."""
        limits = self._spec.thresholds
        prototypes = Prototypes.of(outputs[self._output.name], self._output)
        found = self._read(outputs, prototypes.count)
        if found.damaged:
            self._warn(_NAN, self._spec.name)
        rows = suppress(
            found.boxes_xyxy,
            found.scores,
            found.labels,
            overlap=limits.overlap,
            across=limits.across,
            method=self._suppression,
        )
        boxes = clip(to_frame(found.boxes_xyxy[rows], geometry), geometry.frame)
        visible = drawable(boxes)
        rows, boxes = rows[visible][: limits.most], boxes[visible][: limits.most]
        masks, areas = assemble(
            prototypes, found.coefficients[rows], found.boxes_xyxy[rows], geometry
        )
        return Instances(
            boxes_xyxy=boxes,
            scores=found.scores[rows],
            labels=found.labels[rows],
            masks=masks,
            areas_xyxy=areas,
            geometry=geometry,
            label_set=self._label_set,
            threshold=self._threshold,
        )


@dataclass(frozen=True, slots=True)
class _Objects:
    """Boxes [n, 4] in pixels of the input, scores [n], label numbers [n], masks [n, h, w]."""

    boxes_xyxy: F32
    scores: F32
    labels: I32
    masks: Tensor


class MaskRcnnDecoder:
    """Objects as torchvision and the ONNX zoo give them, suppressed already. Thread-safe.

    Boxes [N, 4] in pixels of the network's input, labels [N], scores [N], masks [N, 1, h, w], each
    over its box, or over the whole input where they have its size. Labels count a background as 0
    where the card's classes begin with one, else 0 is the first class.
    """

    def __init__(self, spec: ModelSpec, *, threshold: float | None = None) -> None:
        """threshold: probability from which a pixel is the object, None = the model's own."""
        self._spec = spec
        self._label_set = spec.label_set
        self._background = len(spec.classes) - len(self._label_set)
        self._threshold = spec.thresholds.decision if threshold is None else threshold
        self._activation = spec.output("masks").activation
        self._warn = TellOnce(log)

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> Instances:
        """Returns the objects of one frame. Raises ModelError for unusable shapes or labels."""
        found = self._chosen(outputs)
        boxes = clip(to_frame(found.boxes_xyxy, geometry), geometry.frame)
        rows = np.flatnonzero(drawable(boxes))[: self._spec.thresholds.most]
        planes = np.ascontiguousarray(found.masks[rows], np.float32)
        if self._activation == "sigmoid":
            planes = sigmoid(planes)
        masks, areas = _placed(to_levels(planes), found.boxes_xyxy[rows], geometry)
        return Instances(
            boxes_xyxy=boxes[rows],
            scores=np.minimum(found.scores[rows], np.float32(1)),
            labels=found.labels[rows],
            masks=masks,
            areas_xyxy=areas,
            geometry=geometry,
            label_set=self._label_set,
            threshold=self._threshold,
        )

    def _chosen(self, outputs: Mapping[str, Tensor]) -> _Objects:
        """Returns the objects that reach the score, best first."""
        spec = self._spec
        raw = {m: outputs[spec.output(m).name] for m in ("boxes", "labels", "scores", "masks")}
        boxes, labels, masks = raw["boxes"], raw["labels"], raw["masks"]
        scores: F32 = np.asarray(raw["scores"], np.float32)
        count = len(scores) if scores.ndim else 0
        fits = (boxes.shape, labels.shape, scores.shape) == ((count, 4), (count,), (count,))
        if not fits or masks.ndim != 4 or masks.shape[:2] != (count, 1):
            shapes = ", ".join(f"{m} {shape_text(tensor)}" for m, tensor in raw.items())
            raise ModelError(
                f"outputs of {spec.name!r} gave {shapes}; expected boxes Nx4, labels N, scores N, "
                "masks Nx1xHxW"
            )
        rows = np.argsort(-scores, kind="stable")
        rows = rows[scores[rows] >= np.float32(spec.thresholds.score)]
        # A sum over each mask: a NaN anywhere makes it NaN.
        sums = scores[rows] + _sum(boxes[rows]) + _sum(masks[rows])
        if not np.isfinite(sums).all() or not np.isfinite(scores).all():
            self._warn(_NAN, spec.name)
            rows = rows[np.isfinite(sums)]
        numbers = labels[rows].astype(np.int32) - self._background
        self._check_labels(numbers)
        return _Objects(
            boxes[rows].astype(np.float32),
            scores[rows].astype(np.float32),
            numbers,
            masks[rows, 0],
        )

    def _check_labels(self, numbers: I32) -> None:
        wrong = numbers[(numbers < 0) | (numbers >= len(self._label_set))]
        if len(wrong):
            first = self._background
            raise ModelError(
                f"output {self._spec.output('labels').name!r} gave label "
                f"{wrong[0] + self._background}, the card's classes have numbers {first} to "
                f"{first + len(self._label_set) - 1}: add the missing ones to classes, a leading "
                "'background' where label 1 is the first class"
            )


def drawable(boxes_xyxy: F32) -> NDArray[np.bool_]:
    """Says of each clipped box [n, 4] in frame pixels whether anything of it is in the frame."""
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.asarray((sides >= SMALLEST_PX).all(axis=1))


def _placed(masks: U8, boxes_xyxy: F32, geometry: Geometry) -> tuple[tuple[U8, ...], F32]:
    """Returns masks [n, h, w] cut to the frame, and the part of it each covers."""
    height, width = masks.shape[1:]
    if (width, height) == tuple(geometry.network):
        extents, cells, areas = covered(boxes_xyxy, Size(width, height), geometry)
        parts = [m[c[1] : c[3], c[0] : c[2]] for m, c in zip(masks, cells, strict=True)]
        return fitted([np.ascontiguousarray(part) for part in parts], extents, cells), areas
    whole = to_frame(boxes_xyxy, geometry)
    areas = clip(whole, geometry.frame)
    corner, sides = whole[:, [0, 1, 0, 1]], whole[:, [2, 3, 2, 3]] - whole[:, [0, 1, 0, 1]]
    extents = (areas - corner) / sides * np.array([width, height] * 2, np.float32)
    inside = (areas == whole).all(axis=1)
    cutouts = (
        mask if fits else cut(mask, Extent(*(float(v) for v in extent)))
        for mask, extent, fits in zip(masks, extents, inside, strict=True)
    )
    return tuple(cutouts), areas


def _sum(rows: Tensor) -> F32:
    """Returns float32 [n]: the sum over each row; NaN where one is in it."""
    sums: F32 = np.asarray(rows, np.float32).sum(axis=tuple(range(1, rows.ndim)))
    return sums
