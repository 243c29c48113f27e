"""Network outputs to a SemanticMap: class scores, class numbers, or one probability per class."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edgeseg.errors import ModelError
from edgeseg.ops.labels import best_class
from edgeseg.protocols import Tensor
from edgeseg.segment.activation import class_probability, planar, shape_text
from edgeseg.segment.cropping import crop, crop_all
from edgeseg.spec import ModelSpec
from edgeseg.types import F32, Geometry, SemanticMap


class SemanticDecoder:
    """Class scores, logits or probabilities, one channel a class. Thread-safe, without memory.

    No activation is applied: none changes which class is highest. Scores are kept as they are.
    """

    def __init__(self, spec: ModelSpec, *, threshold: float | None = None) -> None:
        """threshold: means nothing here."""
        self._output = spec.output("scores")
        self._label_set = spec.label_set

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> SemanticMap:
        """Returns the map of one frame.

        Raises ModelError for an unusable shape, another number of classes than the card's, and for
        scores that are no numbers: no class would be a safe stand-in.
        """
        name = self._output.name
        scores = planar(outputs[name], self._output)
        if len(scores) != len(self._label_set):
            raise ModelError(
                f"output {name!r} gave {len(scores)} classes in layout {self._output.layout} "
                f"({shape_text(outputs[name])}), the card names {len(self._label_set)}"
            )
        _refuse_nan(scores, name)
        scores = crop_all(scores, geometry)
        return SemanticMap(best_class(scores), scores, geometry, self._label_set)


class LabelDecoder:
    """Class numbers, as networks with an argmax at their end give. Thread-safe, without memory."""

    def __init__(self, spec: ModelSpec, *, threshold: float | None = None) -> None:
        """threshold: means nothing here."""
        self._output = spec.output("labels")
        self._label_set = spec.label_set

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> SemanticMap:
        """Returns the map of one frame. Raises ModelError for a number that is no class."""
        numbers = _one_plane(outputs[self._output.name], self._output.name)
        low, high = numbers.min(), numbers.max()
        classes = len(self._label_set)
        if not 0 <= low <= high < classes:  # also when NaN
            raise ModelError(
                f"output {self._output.name!r} gave class numbers {low:g} to {high:g}, the card "
                f"names {classes} classes, 0 to {classes - 1}: add the missing ones to classes"
            )
        labels = crop(np.ascontiguousarray(numbers, np.uint8), geometry, nearest=True)
        return SemanticMap(labels, None, geometry, self._label_set)


class BinaryDecoder:
    """One probability per class over background, each an output: class n is the n-th output.

    Where several reach the threshold the later output wins, as lane marks do on a road.
    Thread-safe, without memory.
    """

    def __init__(self, spec: ModelSpec, *, threshold: float | None = None) -> None:
        """threshold: probability from which a pixel is of a class, None = the model's own."""
        self._outputs = spec.outputs
        self._label_set = spec.label_set
        self._threshold = spec.thresholds.decision if threshold is None else threshold

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> SemanticMap:
        """Returns the map of one frame; the background's score is the threshold everywhere.

        Raises ModelError for an unusable shape, different sizes, and NaN.
        """
        planes = [class_probability(outputs[spec.name], spec) for spec in self._outputs]
        for spec, plane in zip(self._outputs, planes, strict=True):
            _refuse_nan(plane, spec.name)
            if plane.shape != planes[0].shape:
                raise ModelError(
                    f"output {spec.name!r} gave {plane.shape[1]}x{plane.shape[0]} pixels, "
                    f"{self._outputs[0].name!r} {planes[0].shape[1]}x{planes[0].shape[0]}: all "
                    "outputs of a binary head must have one size"
                )
        scores = crop_all(over_background(planes, self._threshold), geometry)
        return SemanticMap(best_class(scores), scores, geometry, self._label_set)


def over_background(planes: list[F32], threshold: float) -> F32:
    """Returns float32 [1 + n, h, w] scores whose highest is the last of n planes at the threshold.

    An earlier plane's score is bent below the threshold by as much as a later one lies above, which
    keeps it continuous: enlarged bilinearly, edges stay where the planes cross the threshold.
    """
    scores = np.empty((len(planes) + 1, *planes[0].shape), np.float32)
    scores[0] = np.nextafter(np.float32(threshold), np.float32(0))  # reaching it is enough
    ceiling = np.full(planes[0].shape, np.inf, np.float32)
    for number, plane in zip(range(len(planes), 0, -1), reversed(planes), strict=True):
        cv2.min(src1=plane, src2=ceiling, dst=scores[number])
        cv2.min(src1=ceiling, src2=np.float32(2 * threshold) - plane, dst=ceiling)
    return scores


def _one_plane(tensor: Tensor, name: str) -> Tensor:
    """Views class numbers of one picture, with whatever axes of length 1 around, as [h, w]."""
    if tensor.ndim >= 2 and tensor.size:
        sides = tensor.shape
        if tensor.ndim == 4 and sides[0] == 1 and 1 in (sides[1], sides[3]):
            sides = sides[2:] if sides[1] == 1 else sides[1:3]
            return tensor.reshape(sides)
        if tensor.ndim == 3 and sides[0] == 1:
            return tensor.reshape(sides[1:])
        if tensor.ndim == 2:
            return tensor
    raise ModelError(
        f"output {name!r} gave shape {shape_text(tensor)}, expected class numbers of one picture, "
        "1xHxW or 1x1xHxW"
    )


def _refuse_nan(scores: F32, name: str) -> None:
    if not np.isfinite(scores.sum()):  # a fifth of the time of np.isfinite on each
        raise ModelError(
            f"output {name!r} holds NaN or infinity: is the model file damaged, or are mean and "
            "std wrong?"
        )
