"""How good a file is: against labels, or against the decisions of the FP32 model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.evaluate import DataChoice, evaluate, open_scoring
from edgeseg.ops.image import fit
from edgeseg.ops.labels import label_map
from edgeseg.ops.metrics import confusion_counts, iou_per_class
from edgeseg.protocols import Backend, Tensor
from edgeseg.segment import NetworkSegmenter
from edgeseg.segment.decoders import Decoder, decoder_for
from edgeseg.spec import LEAST_SCORE, ModelSpec
from edgeseg.types import U8

CLASSES = 256
AGREEMENT = "agreement IoU"


@dataclass(frozen=True, slots=True)
class Score:
    """judged: figures in 0..1 that may not fall, by name. boundary_f: None where there is none."""

    judged: Mapping[str, float]
    boundary_f: float | None = None

    def lost_to(self, other: Score) -> float:
        """Returns by how many points of 0..100 the other is worse, in the figure that lost most."""
        return max(100 * (value - other.judged[name]) for name, value in self.judged.items())

    def figures(self) -> dict[str, float | None]:
        """Returns the figures under their report names."""
        edge = {} if self.boundary_f is None else {"boundary_f": self.boundary_f}
        return {**self.judged, **edge}


class Judge(Protocol):
    """Scores whatever runs one model, always on the same pictures."""

    @property
    def spec(self) -> ModelSpec:
        """The recipe that what is judged runs by."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """What is judged on: kind "accuracy" or "agreement", data, split, pictures."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about the pictures."""
        ...

    def score(self, backend: Backend) -> Score:
        """Raises ModelError when the network fails, ConfigError for an unreadable picture."""
        ...


class LabelJudge:
    """Scores by ``edgeseg eval``'s figures on labelled pictures."""

    def __init__(self, spec: ModelSpec, choice: DataChoice) -> None:
        """Raises ConfigError for data that does not fit the model."""
        if spec.task == "instance":
            least = min(LEAST_SCORE, spec.thresholds.score)
            spec = spec.with_thresholds(score=least)
        self._spec, self._choice = spec, choice
        self._first = open_scoring(spec, choice)
        self._pictures = len(self._first.pictures)
        self._notes = self._first.notes

    @property
    def spec(self) -> ModelSpec:
        """The model's recipe; for objects, from a lower score on."""
        return self._spec

    @property
    def data(self) -> dict[str, Any]:
        """The folder's name, split and number of pictures."""
        name = self._choice.path.resolve().name
        split = self._choice.split
        return {"kind": "accuracy", "data": name, "split": split, "pictures": self._pictures}

    @property
    def notes(self) -> Sequence[str]:
        """How the data was read."""
        return self._notes

    def score(self, backend: Backend) -> Score:
        """Scores every picture at its labels' own size."""
        scoring = open_scoring(self._spec, self._choice)  # it pools what it is given
        figures = evaluate(NetworkSegmenter(self._spec, backend), scoring).figures
        edge = figures.get("boundary_f")
        return Score(_judged(figures, self._spec), edge if isinstance(edge, float) else None)


def _judged(figures: Mapping[str, Any], spec: ModelSpec) -> dict[str, float]:
    """Returns what a model of its kind is judged by. Raises ConfigError where nothing defines it.

    Of a portrait: the person's IoU, the mean over the sources where they are named; for classes
    mIoU; for objects AP and AP50 of masks.
    """
    if spec.task == "portrait":
        macro = figures["iou_macro"]
        found = {"person IoU": figures["iou"]["person"] if macro is None else macro}
    elif spec.task == "semantic":
        found = {"mIoU": figures["miou"]}
    else:
        found = {"mask AP": figures["ap"]["mask"], "mask AP50": figures["ap50"]["mask"]}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise ConfigError(f"--data: nothing to score in it: no {', '.join(missing)}")
    return found


class AgreementJudge:
    """Scores by IoU with the FP32 model's own decisions on pictures without labels."""

    def __init__(
        self,
        spec: ModelSpec,
        inputs: Sequence[Tensor],
        fp32: Backend,
        *,
        source: str,
        drawn: bool = False,
    ) -> None:
        """inputs: of the network, not used for calibration. source: where they come from.

        drawn: they are no photographs.

        Raises ModelError when the network fails.
        """
        self._spec = spec
        self._inputs, self._source, self._drawn = inputs, source, drawn
        self._geometry = fit(spec.input.size, spec.input)
        self._decoder: Decoder = decoder_for(spec)
        self._truth = [self._labels(fp32, tensor) for tensor in inputs]

    @property
    def spec(self) -> ModelSpec:
        """The model's recipe."""
        return self._spec

    @property
    def data(self) -> dict[str, Any]:
        """Says that it is no accuracy, and how many pictures were compared."""
        return {"kind": "agreement", "data": self._source, "pictures": len(self._inputs)}

    @property
    def notes(self) -> Sequence[str]:
        """Says what is judged."""
        pictures = f"{len(self._inputs)} pictures of {self._source}"
        pictures += "" if self._drawn else " that calibration did not see"
        return (f"agreement with FP32 on {pictures}, not accuracy: give --data for that",)

    @property
    def perfect(self) -> Score:
        """What FP32 itself scores."""
        return Score({AGREEMENT: 1.0})

    def score(self, backend: Backend) -> Score:
        """Compares every pixel's class with FP32's, the mean over the classes in either."""
        counts = np.zeros((CLASSES, CLASSES), np.int64)
        for tensor, truth in zip(self._inputs, self._truth, strict=True):
            counts += confusion_counts(self._labels(backend, tensor), truth, CLASSES)
        first = 0 if self._spec.task == "semantic" else 1  # a background nearly always agrees
        ious = iou_per_class(counts)[first:]
        known = ious[np.isfinite(ious)]
        return Score({AGREEMENT: round(float(known.mean()), 5) if known.size else 1.0})

    def _labels(self, backend: Backend, tensor: Tensor) -> U8:
        outputs = backend.infer({self._spec.input.name: tensor})
        return label_map(self._decoder.decode(outputs, self._geometry))
