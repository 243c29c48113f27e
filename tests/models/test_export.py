"""An exported file is small, self-describing and gives PyTorch's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import onnx
import torch
from torch import nn

from edgeseg.errors import ModelError
from edgeseg.models import zoo
from edgeseg.models.export import (
    Deployed,
    fold_batch_norms,
    onnx_predictor,
    parity,
    write_model,
)
from edgeseg.spec import METADATA_KEY, InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Size


def settled(name: str) -> nn.Module:
    """A network whose batch norms have seen data, so that folding them matters."""
    torch.manual_seed(0)
    network = zoo.build(name)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn((4, 3, 64, 64)))
    return network.eval()


def spec(name: str, size: Size) -> ModelSpec:
    return ModelSpec(
        name=name,
        input=InputSpec(name="image", size=size),
        outputs=(OutputSpec(name="person"),),
    )


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_the_file_gives_pytorchs_numbers_and_carries_its_recipe(name: str, tmp_path: Path) -> None:
    network = settled(name)
    path = tmp_path / "model.onnx"
    written = write_model(Deployed(network), spec(name, Size(96, 64)), path)
    assert written.metrics["onnx_max_abs_difference"] < 1e-4
    model = onnx.load(path)
    metadata = {p.key: p.value for p in model.metadata_props}
    assert ModelSpec.from_json(metadata[METADATA_KEY], where="file") == written

    image = np.random.default_rng(3).integers(0, 256, (64, 96, 3), np.uint8)
    scaled = torch.from_numpy(image).permute(2, 0, 1)[None].float() * (2 / 255) - 1
    with torch.inference_mode():
        expected = torch.sigmoid(network(scaled)[0])[0, 0].numpy()
    probability = onnx_predictor(str(path))(image)
    assert probability.shape == (32, 48)
    assert np.abs(probability - expected).max() < 1e-4


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_the_graph_has_nothing_needless(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_model(Deployed(settled(name)), spec(name, Size(64, 64)), path)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert operators.count("Transpose") == operators.count("Cast") == 1
    assert not {"BatchNormalization", "Identity", "Reshape", "Shape", "Concat"} & set(operators)


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    network = settled("portrait-sinet")
    for name in ("a", "b"):
        write_model(Deployed(network), spec("m", Size(64, 64)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_folding_keeps_the_original_and_the_function() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    layers.train()(torch.randn((4, 3, 8, 8)))
    image = torch.randn((1, 3, 8, 8))
    expected = layers.eval()(image)
    fold_batch_norms(layers)
    assert isinstance(layers[1], nn.Identity)
    assert torch.allclose(layers(image), expected, atol=1e-5)


def test_a_file_that_differs_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match=r"differs from PyTorch by .* was not written"):
        write_model(Deployed(settled("portrait")), spec("m", Size(64, 64)), path, tolerance=-1.0)
    assert not path.exists()


def test_parity_notices_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    network = settled("portrait-sinet")
    write_model(Deployed(network), spec("m", Size(64, 64)), path)
    other = settled("portrait-sinet")
    with torch.no_grad():
        other.get_submodule("head4").bias += 1.0
    assert parity(Deployed(other), onnx.load(path)) > 0.01


def test_bgr_networks_are_deployed_as_rgb() -> None:
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(3, 1, 1))
    mean, scale = (10.0, 20.0, 30.0), (0.01, 0.02, 0.03)
    deployed = Deployed(conv, mean=mean, scale=scale, reverse_channels=True)
    rgb = torch.randint(0, 256, (1, 4, 4, 3), dtype=torch.uint8)
    bgr = rgb.flip(3).permute(0, 3, 1, 2).float()
    normal = (bgr - torch.tensor(mean)[None, :, None, None]) * torch.tensor(scale)[
        None, :, None, None
    ]
    assert torch.allclose(deployed(rgb), torch.sigmoid(conv(normal)), atol=1e-6)
