"""A trained network as one ONNX file that carries its own recipe (`ModelSpec`).

The file takes uint8 NHWC RGB and gives a person probability: normalisation, batch norms and the
sigmoid are inside. Scaling is folded into the first convolution, so only a subtraction remains.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseg.errors import ModelError
from edgeseg.spec import METADATA_KEY, ModelSpec

OPSET = 17
INPUT, OUTPUT = "image", "person"
UNIT_MEAN, UNIT_SCALE = (127.5, 127.5, 127.5), (2 / 255, 2 / 255, 2 / 255)
"""Pixels 0..255 to [-1, 1], as our networks are trained: (pixel - mean) * scale."""

Triple = tuple[float, float, float]
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def fold_batch_norms(module: nn.Module) -> None:
    """Fold, in place, each batch norm that follows a convolution in an `nn.Sequential`."""
    for child in module.children():
        fold_batch_norms(child)
    if not isinstance(module, nn.Sequential):
        return
    for index in range(len(module) - 1):
        conv, norm = module[index], module[index + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
            module[index], module[index + 1] = fused, nn.Identity()


class Deployed(nn.Module):
    """`network` from pixels to probability; a folded copy, the original stays as it was."""

    mean: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Triple = UNIT_MEAN,
        scale: Triple = UNIT_SCALE,
        reverse_channels: bool = False,
    ) -> None:
        """Prepare `network` for pixels, which it wants as (pixel - mean) * scale.

        Args:
            network: gives logits [N, 1, h, w] or a list of them, finest first.
            mean: in the network's channel order, pixels 0..255.
            scale: in the network's channel order.
            reverse_channels: the network wants BGR; the deployed input is RGB all the same.
        """
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        fold_batch_norms(self.network)
        stem = next(m for m in self.network.modules() if isinstance(m, nn.Conv2d))
        with torch.no_grad():
            stem.weight *= torch.tensor(scale)[None, :, None, None]
            if reverse_channels:
                stem.weight.copy_(stem.weight.flip(1))
                mean = mean[::-1]
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [1, H, W, 3] to float32 probability [1, 1, h, w]."""
        logits = self.network(image.permute(0, 3, 1, 2).float() - self.mean)
        return torch.sigmoid(logits[0] if isinstance(logits, list) else logits)


def onnx_graph(deployed: Deployed, *, height: int, width: int) -> onnx.ModelProto:
    """The checked ONNX graph of `deployed` for one picture of a fixed size."""
    buffer = io.BytesIO()
    example = torch.zeros((1, height, width, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(
            deployed.eval(),
            (example,),
            buffer,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    model.producer_name, model.producer_version = "edgeseg", ""
    onnx.checker.check_model(model, full_check=True)
    return model


def open_session(model: bytes | str) -> onnxruntime.InferenceSession:
    """A single-threaded CPU session of a file name or a serialised model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnx_predictor(model: bytes | str) -> Predict:
    """A function from uint8 RGB [H, W, 3] at network size to person probability [h, w]."""
    session = open_session(model)

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], {INPUT: image[None]})[0][0, 0], np.float32)

    return predict


def parity(deployed: Deployed, model: onnx.ModelProto, *, pictures: int = 4) -> float:
    """Largest difference in probability between PyTorch and ONNX Runtime on random pictures."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    predict = onnx_predictor(model.SerializeToString())
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(pictures):
        image = rng.integers(0, 256, shape, np.uint8)
        with torch.inference_mode():
            expected = deployed(torch.from_numpy(image)[None])[0, 0].numpy()
        worst = max(worst, float(np.abs(expected - predict(image)).max()))
    return worst


def write_model(
    deployed: Deployed, spec: ModelSpec, path: Path, *, tolerance: float = 1e-4
) -> ModelSpec:
    """Write `deployed` to `path` with `spec` inside; returns the spec with the parity measured.

    Raises: ModelError when ONNX Runtime and PyTorch differ by more than `tolerance`.
    """
    size = spec.input.size
    model = onnx_graph(deployed, height=size.height, width=size.width)
    worst = parity(deployed, model)
    if worst > tolerance:
        raise ModelError(
            f"{path}: ONNX Runtime differs from PyTorch by {worst:.2g}, allowed {tolerance:.2g}; "
            "the file was not written"
        )
    # Two digits: the last ones depend on the processor and would make every export different.
    measured = {"onnx_max_abs_difference": float(f"{worst:.1e}")}
    spec = spec.model_copy(update={"metrics": dict(spec.metrics) | measured})
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    path.write_bytes(model.SerializeToString(deterministic=True))
    return spec
