"""INT8 files for TensorRT: symmetric int8, zero point 0, on the inputs of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibrate import Calibration

Typed = Literal["fp32", "fp16"]


def to_int8_trt(
    model: ModelFile,
    calibration: Calibration,
    *,
    typed: Typed = "fp16",
    float_layers: Sequence[str] = (),
) -> bytes:
    """Returns a model's INT8 file for TensorRT, its recipe inside (int8-trt or int8-trt16).

    typed: of what is not quantised; fp32 for TensorRT 8 and early 10, fp16 for later ones.
    float_layers: names of nodes, as ``rank_layers`` gives them, that stay in floating point.
    Raises ModelError: an unknown layer, or a calibration of another model.
    """
    raise NotImplementedError
