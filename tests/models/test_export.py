"""An exported file is small, self-describing and gives PyTorch's numbers."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import onnx
import torch
from torch import nn

from edgeseg.errors import ModelError, SpecMismatch
from edgeseg.labels import CAMVID
from edgeseg.models import zoo
from edgeseg.models.export import (
    INPUT,
    Deployed,
    Difference,
    fold_batch_norms,
    open_session,
    parity,
    write_model,
)
from edgeseg.models.yolact import YolactOutputs
from edgeseg.spec import MEANINGS, METADATA_KEY, Head, InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Size

LOGITS = [name for name, found in zoo.ARCHITECTURES.items() if found.task != "instance"]
SIZE = Size(96, 64)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def settled(name: str) -> nn.Module:
    """A network whose batch norms have seen data, so that folding them matters."""
    torch.manual_seed(0)
    network = zoo.build(name)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn((4, 3, 64, 64)))
    return network.eval()


def head_of(name: str) -> Head:
    return "person" if zoo.ARCHITECTURES[name].task == "portrait" else "semantic"


def spec(name: str, size: Size, head: Head = "person") -> ModelSpec:
    if head == "person":
        outputs = (OutputSpec(name="person"),)
        return ModelSpec(name=name, input=InputSpec(name="image", size=size), outputs=outputs)
    return ModelSpec(
        name=name,
        task="semantic" if head == "semantic" else "instance",
        input=InputSpec(name="image", size=size),
        outputs=tuple(OutputSpec(name=meaning, meaning=meaning) for meaning in MEANINGS[head]),
        classes=CAMVID.names if head == "semantic" else ("person", "car"),
    )


def run(path: Path, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = open_session(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {INPUT: image[None]}), strict=True))


def picture(size: Size) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (size.height, size.width, 3), np.uint8)


def unit(image: NDArray[np.uint8]) -> torch.Tensor:
    """[1, 3, H, W] in [-1, 1], as in training."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() * (2 / 255) - 1


@pytest.mark.parametrize("name", LOGITS)
def test_the_file_gives_pytorchs_numbers_and_carries_its_recipe(name: str, tmp_path: Path) -> None:
    network, head = settled(name), head_of(name)
    path = tmp_path / "model.onnx"
    written = write_model(Deployed(network, head=head), spec(name, SIZE, head), path)
    assert written.metrics["onnx_max_abs_difference"] < 1e-4
    model = onnx.load(path)
    metadata = {p.key: p.value for p in model.metadata_props}
    assert ModelSpec.from_json(metadata[METADATA_KEY], where="file") == written

    image = picture(SIZE)
    with torch.inference_mode():
        logits = network(unit(image))[0]
    expected = (torch.sigmoid(logits) if head == "person" else logits).numpy()
    given = run(path, image)
    assert list(given) == [written.outputs[0].name]
    assert np.abs(given[written.outputs[0].name] - expected).max() < 1e-4 * max(1, np.ptp(expected))


def test_an_instance_file_gives_four_named_outputs(tmp_path: Path) -> None:
    network, path = settled("instances"), tmp_path / "model.onnx"
    outputs = YolactOutputs(network, SIZE)
    written = write_model(Deployed(outputs, head="yolact"), spec("m", SIZE, "yolact"), path)
    found = written.metrics["onnx_max_abs_difference"]
    assert list(found) == ["boxes", "scores", "coefficients", "prototypes"]
    assert max(found.values()) < 1e-3
    image = picture(SIZE)
    with torch.inference_mode():
        expected = outputs(unit(image))
    given = run(path, image)
    anchors = given["boxes"].shape[1]
    assert given["boxes"].shape == (1, anchors, 4)
    assert given["scores"].shape == (1, anchors, 2)
    assert given["coefficients"].shape[:2] == (1, anchors)
    assert given["prototypes"].shape == (1, 16, 24, given["coefficients"].shape[2])
    for name, theirs in zip(found, expected, strict=True):
        assert np.abs(given[name] - theirs.numpy()).max() < 1e-3, name


@pytest.mark.parametrize("name", LOGITS)
def test_the_graph_has_nothing_needless(name: str, tmp_path: Path) -> None:
    path, head = tmp_path / "model.onnx", head_of(name)
    write_model(Deployed(settled(name), head=head), spec(name, Size(64, 64), head), path)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert operators.count("Transpose") == operators.count("Cast") == 1
    needless = {"BatchNormalization", "Identity", "Reshape", "Shape", "Slice", "Expand", "Gather"}
    assert not needless & set(operators)
    assert operators.count("Concat") == (2 if name == "driving" else 0)


def test_odd_sizes_are_exported_too(tmp_path: Path) -> None:
    for name in ("driving", "driving-icnet"):
        path, size = tmp_path / f"{name}.onnx", Size(101, 67)
        write_model(Deployed(settled(name), head="semantic"), spec(name, size, "semantic"), path)
        with torch.inference_mode():
            expected = settled(name)(unit(picture(size)))[0].numpy()
        assert np.abs(run(path, picture(size))["scores"] - expected).max() < 1e-3


def test_a_card_that_names_other_outputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(SpecMismatch, match=r"names 4 outputs \(boxes, .*\), the network gives 1"):
        write_model(Deployed(settled("driving"), head="semantic"), spec("m", SIZE, "yolact"), path)
    assert not path.exists()


def test_half_weights_halve_the_file_and_stay_near(tmp_path: Path) -> None:
    full, half = tmp_path / "full.onnx", tmp_path / "half.onnx"
    card = spec("driving", SIZE, "semantic")
    write_model(Deployed(settled("driving"), head="semantic"), card, full)
    written = write_model(
        Deployed(settled("driving"), head="semantic", half_weights=True), card, half
    )
    assert half.stat().st_size < 0.55 * full.stat().st_size
    assert written.metrics["onnx_max_abs_difference"] < 1e-4  # to the rounded network
    ours, theirs = run(full, picture(SIZE))["scores"], run(half, picture(SIZE))["scores"]
    assert 0 < np.abs(ours - theirs).max() < 0.01 * np.ptp(ours)


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
    with pytest.raises(ModelError, match=r"person: .* differs from PyTorch by .* not written"):
        write_model(Deployed(settled("portrait")), spec("m", Size(64, 64)), path, tolerance=-1.0)
    assert not path.exists()


def test_parity_notices_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    network = settled("portrait-sinet")
    write_model(Deployed(network), spec("m", Size(64, 64)), path)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.get_submodule("head4").bias += 1.0
    assert parity(Deployed(other), onnx.load(path))["person"].worst > 0.01


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
    (probability,) = deployed(rgb)
    assert torch.allclose(probability, torch.sigmoid(conv(normal)), atol=1e-6)


def test_differences_are_judged_by_the_size_of_the_values() -> None:
    assert Difference(worst=0.01, largest=50.0).relative == pytest.approx(0.0002)
    assert Difference(worst=0.01, largest=0.5).relative == 0.01
