"""INT8 files for CPUs: uint8 activations, int8 weights per channel, as QuantizeLinear pairs."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibrate import Calibration


def to_int8(
    model: ModelFile, calibration: Calibration, *, float_layers: Sequence[str] = ()
) -> bytes:
    """Returns a model's INT8 file for ONNX Runtime on CPUs and for OpenVINO, its recipe inside.

    float_layers: names of nodes, as ``rank_layers`` gives them, that stay in floating point.
    Raises ModelError: an unknown layer, or a calibration of another model.
    """
    raise NotImplementedError
