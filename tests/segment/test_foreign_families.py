"""Families that others train, as test networks: exported, run through a card, the same numbers.

A U-Net comes out of torch's exporter. A SegNet's unpooling with the indices of its pooling has no
exporter in torch, so its graph is written operator by operator, with the weights of the torch
network that it must agree with. FCN, PSPNet, HRNet and DeepLab end in class scores like the U-Net.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch", reason="the reference networks need the [train] extra (PyTorch)")

import torch
from torch import nn
from torch.nn import functional

from edgeseg import frame_from_bgr, open_segmenter
from edgeseg.ops.image import network_input
from edgeseg.spec import InputSpec, ModelSpec, OutputSpec
from edgeseg.types import F32, Frame, SemanticMap, Size

CLASSES = ("sky", "road", "car", "person", "tree")


class UNet(nn.Module):  # type: ignore[misc]
    """Ronneberger et al. 2015, two levels deep."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = self._pair(3, 8), self._pair(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last, self.head = self._pair(16, 8), nn.Conv2d(8, len(CLASSES), 1)

    @staticmethod
    def _pair(inputs: int, outputs: int) -> Any:
        parts: list[Any] = []
        for count in (inputs, outputs):
            parts += [nn.Conv2d(count, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*parts)

    def forward(self, image: Any) -> Any:
        fine = self.first(image)
        coarse = self.up(self.second(functional.max_pool2d(fine, 2)))
        return self.head(self.last(torch.cat([fine, coarse], dim=1)))


class SegNet(nn.Module):  # type: ignore[misc]
    """Badrinarayanan et al. 2017, two levels deep."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.up2, self.up1 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 5, 3, padding=1)

    def forward(self, image: Any) -> Any:
        half, first = functional.max_pool2d(self.down1(image).relu(), 2, return_indices=True)
        quarter, second = functional.max_pool2d(self.down2(half).relu(), 2, return_indices=True)
        half = self.up2(functional.max_unpool2d(quarter, second, 2)).relu()
        return self.up1(functional.max_unpool2d(half, first, 2))


def segnet_graph(network: Any, size: Size) -> onnx.ModelProto:
    weights, nodes = [], []

    def conv(source: str, name: str, out: str, *, relu: bool = True) -> None:
        layer = getattr(network, name)
        for kind in ("weight", "bias"):
            value = getattr(layer, kind).detach().numpy()
            weights.append(numpy_helper.from_array(value, f"{name}.{kind}"))
        result = f"{out}_raw" if relu else out
        parts = [source, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", parts, [result], pads=[1] * 4))
        if relu:
            nodes.append(helper.make_node("Relu", [result], [out]))

    pool: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    conv("image", "down1", "a")
    nodes.append(helper.make_node("MaxPool", ["a"], ["half", "first"], **pool))
    conv("half", "down2", "b")
    nodes.append(helper.make_node("MaxPool", ["b"], ["quarter", "second"], **pool))
    nodes.append(helper.make_node("MaxUnpool", ["quarter", "second"], ["c"], **pool))
    conv("c", "up2", "d")
    nodes.append(helper.make_node("MaxUnpool", ["d", "first"], ["e"], **pool))
    conv("e", "up1", "scores", relu=False)
    shape = [1, 3, size.height, size.width]
    graph = helper.make_graph(
        nodes,
        "segnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5, *shape[2:]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def exported(network: Any, size: Size) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, size.height, size.width),),
            buffer,
            input_names=["image"],
            output_names=["scores"],
            dynamo=False,
        )
    return buffer.getvalue()


def card(size: Size) -> ModelSpec:
    return ModelSpec(
        name="foreign",
        task="semantic",
        input=InputSpec(
            name="image",
            size=size,
            layout="nchw",
            dtype="float32",
            fit="letterbox",
            mean=(123.675, 116.28, 103.53),
            std=(58.395, 57.12, 57.375),
        ),
        outputs=(OutputSpec(name="scores", meaning="scores"),),
        classes=CLASSES,
    )


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


def picture() -> Frame:
    rng = np.random.default_rng(2)
    small = rng.integers(0, 256, (9, 12, 3), np.uint8)
    return frame_from_bgr(np.ascontiguousarray(small.repeat(15, 0).repeat(15, 1)))


@pytest.mark.parametrize("family", ["u-net", "segnet"])
def test_a_family_runs_with_a_card_and_gives_torch_s_numbers(tmp_path: Path, family: str) -> None:
    size = Size(64, 48)
    network = (UNet() if family == "u-net" else SegNet()).eval()
    for weight in network.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight)  # strong enough that several classes win somewhere
    path = tmp_path / "foreign.onnx"
    if family == "u-net":
        path.write_bytes(exported(network, size))
    else:
        path.write_bytes(segnet_graph(network, size).SerializeToString())
    path.with_suffix(".yaml").write_text(card(size).to_card(), encoding="utf-8")
    with open_segmenter(path, threads=1) as segmenter:
        ours = segmenter.segment(picture())
    assert isinstance(ours, SemanticMap)
    assert ours.label_set.names == CLASSES
    assert ours.scores is not None
    tensor, geometry = network_input(picture(), card(size).input)
    with torch.no_grad():
        theirs: F32 = network(torch.from_numpy(np.asarray(tensor)))[0].numpy()
    assert ours.geometry == geometry
    np.testing.assert_allclose(ours.scores, theirs, atol=1e-4 * np.abs(theirs).max())
    np.testing.assert_array_equal(ours.labels, theirs.argmax(axis=0))
    assert len(np.unique(ours.labels)) > 1
