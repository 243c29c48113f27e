"""A trained network as one ONNX file that carries its own recipe (`ModelSpec`).

The file takes uint8 NHWC RGB: normalisation and batch norms are inside. Scaling is folded into the
convolutions that see the picture, so only a subtraction remains. What it gives depends on the
recipe's head: `person` a probability, `semantic` class scores at the network's own resolution,
`yolact` boxes, scores, coefficients and prototypes.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseg.errors import ModelError, SpecMismatch
from edgeseg.models.half_weights import round_weights, store_as_half
from edgeseg.models.static_shapes import write_sizes
from edgeseg.ort_import import import_ort
from edgeseg.spec import METADATA_KEY, Head, ModelSpec

OPSET = 17
INPUT, OUTPUT = "image", "person"
UNIT_MEAN, UNIT_SCALE = (127.5, 127.5, 127.5), (2 / 255, 2 / 255, 2 / 255)
"""Pixels 0..255 to [-1, 1], as our networks are trained: (pixel - mean) * scale."""

Triple = tuple[float, float, float]
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _finest(outputs: Any) -> Tensor:
    """The logits themselves, or the first of a list."""
    finest: Tensor = outputs[0] if isinstance(outputs, list | tuple) else outputs
    return finest


FINISHES: dict[Head, Callable[[Any], tuple[Tensor, ...]]] = {
    "person": lambda outputs: (torch.sigmoid(_finest(outputs)),),
    "semantic": lambda outputs: (_finest(outputs),),
    "yolact": tuple,
}
"""What a file gives of what its network gives, by head."""


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
    """`network` from pixels to its head's outputs; a folded copy, the original is untouched."""

    mean: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        head: Head = "person",
        mean: Triple = UNIT_MEAN,
        scale: Triple = UNIT_SCALE,
        reverse_channels: bool = False,
        half_weights: bool = False,
    ) -> None:
        """Prepare `network` for pixels, which it wants as (pixel - mean) * scale.

        Args:
            network: gives what `FINISHES[head]` takes: logits [N, C, h, w] or a list of them,
                finest first, or a tuple of outputs. Every convolution of three input channels must
                see the picture itself, at any resolution (pointwise and grouped ones need not).
            head: what the file gives.
            mean: in the network's channel order, pixels 0..255.
            scale: in the network's channel order.
            reverse_channels: the network wants BGR; the deployed input is RGB all the same.
            half_weights: large weights are rounded to float16, to be stored in half the space.
        """
        super().__init__()
        self.finish = FINISHES[head]
        self.network = copy.deepcopy(network).eval()
        fold_batch_norms(self.network)
        with torch.no_grad():
            for stem in _stems(self.network):
                stem.weight *= torch.tensor(scale)[None, :, None, None]
                if reverse_channels:
                    stem.weight.copy_(stem.weight.flip(1))
        if reverse_channels:
            mean = mean[::-1]
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])
        self.half_weights = half_weights
        if half_weights:
            round_weights(self.network)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map uint8 [1, H, W, 3] to the head's float32 outputs."""
        return self.finish(self.network(image.permute(0, 3, 1, 2).float() - self.mean))


def _stems(network: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that see the picture: those of three input channels.

    Beside wide ones, a pointwise or depthwise one works on the scores of three classes instead.
    """
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    three = [m for m in convolutions if m.in_channels == 3]
    return [m for m in three if m.groups == 1 and max(m.kernel_size) > 1] or three


def onnx_graph(
    deployed: Deployed, *, height: int, width: int, outputs: tuple[str, ...] = (OUTPUT,)
) -> onnx.ModelProto:
    """The checked ONNX graph of `deployed` for one picture of a fixed size, `outputs` named.

    Raises: SpecMismatch when the network gives more or fewer outputs than there are names.
    """
    buffer = io.BytesIO()
    example = torch.zeros((1, height, width, 3), dtype=torch.uint8)
    with torch.inference_mode():
        given = len(deployed.eval()(example))
    if given != len(outputs):
        raise SpecMismatch(
            f"the card names {len(outputs)} outputs ({', '.join(outputs)}), the network gives "
            f"{given}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(
            deployed.eval(),
            (example,),
            buffer,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    model.producer_name, model.producer_version = "edgeseg", ""
    write_sizes(model)
    if deployed.half_weights:
        store_as_half(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def open_session(model: bytes | str) -> Any:
    """A single-threaded CPU session of a file name or a serialised model."""
    ort = import_ort()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnx_predictor(model: bytes | str) -> Predict:
    """A function from uint8 RGB [H, W, 3] at network size to person probability [h, w]."""
    session = open_session(model)

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], {INPUT: image[None]})[0][0, 0], np.float32)

    return predict


class Difference(NamedTuple):
    """Of one output: largest absolute difference, and largest absolute value."""

    worst: float = 0.0
    largest: float = 0.0

    @property
    def relative(self) -> float:
        """The difference as a share of the largest value, or of 1 where all values are smaller."""
        return self.worst / max(1.0, self.largest)


def parity(
    deployed: Deployed, model: onnx.ModelProto, *, pictures: int = 4
) -> dict[str, Difference]:
    """How far PyTorch and ONNX Runtime differ on random pictures, by output name."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    session = open_session(model.SerializeToString())
    found = {output.name: Difference() for output in session.get_outputs()}
    rng = np.random.default_rng(0)
    for _ in range(pictures):
        image = rng.integers(0, 256, (1, *shape), np.uint8)
        with torch.inference_mode():
            expected = deployed(torch.from_numpy(image))
        given = session.run(list(found), {INPUT: image})
        for name, ours, theirs in zip(found, expected, given, strict=True):
            worst = max(found[name].worst, float(np.abs(ours.numpy() - theirs).max()))
            found[name] = Difference(worst, max(found[name].largest, float(ours.abs().max())))
    return found


def write_model(
    deployed: Deployed, spec: ModelSpec, path: Path, *, tolerance: float = 1e-4, pictures: int = 4
) -> ModelSpec:
    """Write `deployed` to `path` with `spec` inside; returns the spec with the parity measured.

    The outputs are named, in the order the network gives them, as in `spec.outputs`. pictures: how
    many the parity is measured on.

    Raises:
        ModelError: ONNX Runtime and PyTorch differ by more than `tolerance` (of the output's
            largest value if that is above 1).
        SpecMismatch: the network gives another number of outputs.
    """
    names = tuple(output.name for output in spec.outputs)
    size = spec.input.size
    model = onnx_graph(deployed, height=size.height, width=size.width, outputs=names)
    found = parity(deployed, model, pictures=pictures)
    for name, difference in found.items():
        if not difference.relative <= tolerance:
            raise ModelError(
                f"{path}: {name}: ONNX Runtime differs from PyTorch by {difference.relative:.2g}, "
                f"allowed {tolerance:.2g}; the file was not written"
            )
    # Two digits: the last ones depend on the processor and would make every export different.
    rounded = {name: float(f"{difference.worst:.1e}") for name, difference in found.items()}
    stated = rounded if len(rounded) > 1 else rounded[names[0]]
    spec = spec.model_copy(
        update={"metrics": dict(spec.metrics) | {"onnx_max_abs_difference": stated}}
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    path.write_bytes(model.SerializeToString(deterministic=True))
    return spec
