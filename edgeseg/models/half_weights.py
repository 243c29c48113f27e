"""Large weights stored as float16: half the file, and the same speed.

First the network is rounded (`round_weights`), so that PyTorch and the file have the same numbers;
then every initialiser that float16 holds exactly is stored so, with a Cast before its first use
(`store_as_half`). ONNX Runtime and OpenVINO fold that Cast when they load the file.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn

from edgeseg.errors import ModelError

LEAST = 1024
"""Values from which a weight is worth a Cast; the first convolution stays exact."""
_LARGEST = float(np.finfo(np.float16).max)


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round, in place, each weight of `module` with `LEAST` or more values to float16.

    Raises: ModelError when a weight is beyond float16's range.
    """
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2 or parameter.numel() < LEAST:
            continue
        largest = float(parameter.abs().max())
        if not largest <= _LARGEST:
            raise ModelError(
                f"{name}: a weight of {largest:.3g} does not fit float16; keep float32"
            )
        parameter.copy_(parameter.half().float())


def store_as_half(model: onnx.ModelProto) -> int:
    """Store, in place, large float32 initialisers as float16 where that is exact; returns how many.

    Every node goes on reading float32, under the old name.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < LEAST:
            continue
        half = _exact_half(numpy_helper.to_array(tensor))
        if half is None:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    return len(casts)


def _exact_half(values: NDArray[np.float32]) -> NDArray[np.float16] | None:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else None
