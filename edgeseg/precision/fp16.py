"""FP16-typed files: what a GPU computes in half precision, stated in the graph.

TensorRT 10.12 and later, TensorRT-RTX and ONNX Runtime's CUDA provider compute in the types that
the graph says; half precision is a property of the file there and no option.
"""

from __future__ import annotations

from edgeseg.model_file import ModelFile
from edgeseg.precision.cast_first import cast_first
from edgeseg.precision.graph import fp32_graph, in_opset
from edgeseg.precision.half import halve
from edgeseg.precision.recipe import variant_file

OPSET = 19
"""The least opset of FP16-typed files: QuantizeLinear takes float16 from here on."""


def to_fp16(model: ModelFile) -> bytes:
    """Returns a model's FP16-typed file, its recipe inside (``build.variant`` fp16).

    Inputs and outputs keep their names and dtypes. Raises ModelError: a weight beyond float16's
    range, or a graph that cannot be brought to opset 19.
    """
    where = str(model.path)
    graph = in_opset(cast_first(fp32_graph(model)), OPSET, where)
    return variant_file(halve(graph, where), model, "fp16")
