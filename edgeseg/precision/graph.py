"""FP32 graphs ready to be converted: weights as plain float32 initialisers, constants folded."""

from __future__ import annotations

import onnx

from edgeseg.model_file import ModelFile
from edgeseg.spec import ModelSpec


def fp32_graph(model: ModelFile) -> onnx.ModelProto:
    """Returns a model's graph with what is constant in it folded; inputs and outputs unchanged.

    Raises ModelError when the file is no FP32 ONNX model.
    """
    raise NotImplementedError


def with_recipe(model: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """Returns the file: the graph with this recipe, and no other, in its metadata."""
    raise NotImplementedError
