"""How much error each layer brings into a quantised network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibrate import Calibration
from edgeseg.protocols import Tensor

Maker = Callable[..., bytes]
"""``to_int8``, ``to_int8_trt`` or a partial of these: (model, calibration, *, float_layers)."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """layer: node name. kind: its operator. snr_db: of the outputs with only this one quantised."""

    layer: str
    kind: str
    snr_db: float


def rank_layers(
    model: ModelFile, calibration: Calibration, inputs: Sequence[Tensor], *, make: Maker
) -> list[LayerError]:
    """Returns the layers that ``make`` quantises, the one that hurts most first.

    inputs: a few of ``calibration_inputs``; 4 to 8 are enough.
    """
    raise NotImplementedError
