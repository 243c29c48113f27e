"""Network scores to person probability."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from edgeseg.once import TellOnce
from edgeseg.protocols import Tensor
from edgeseg.segment.activation import class_probability
from edgeseg.segment.cropping import crop
from edgeseg.spec import ModelSpec
from edgeseg.types import Geometry, Matte

log = logging.getLogger(__name__)


class PortraitDecoder:
    """Turns a portrait network's output into a Matte. Thread-safe, no frame knows another."""

    def __init__(self, spec: ModelSpec, *, threshold: float | None = None) -> None:
        """threshold: probability from which a pixel is person, None = the model's own."""
        self._output = spec.outputs[0]
        self._threshold = spec.thresholds.decision if threshold is None else threshold
        self._warn = TellOnce(log)

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> Matte:
        """Returns the matte of one frame. Raises ModelError for an output of unusable shape."""
        person = class_probability(outputs[self._output.name], self._output)
        if not np.isfinite(person.sum()):
            self._warn(
                "output %r holds NaN or infinity; such frames count as all background: is the "
                "model file damaged, or are mean and std wrong?",
                self._output.name,
            )
            person[:] = 0  # a picture with NaN in it is no mask at all, so all background
        np.clip(person, 0, 1, out=person)
        return Matte(crop(person, geometry), geometry, self._threshold)
