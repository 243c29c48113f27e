"""Frames through the GPU backend give the processor's masks; its network is ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_driver import FakeDriver
from gpu_kit import Opened, drawn, noise
from ort_network import OrtNetwork
from tiny_onnx import spec_for, tiny_model
from tiny_tasks import boxes_model, colors_model

from edgeseg.backends import OrtBackend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.errors import ModelError
from edgeseg.meter import Meter
from edgeseg.model_file import ModelFile, load_model
from edgeseg.ops.labels import best_class, label_map
from edgeseg.protocols import FrameBackend, TensorInfo
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import ColorSpace, Frame, Instances, Matte, SemanticMap, Size


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(load_model(tiny_model(tmp_path / "tiny.onnx")))
    yield opened
    opened.close()


def agreement(file: ModelFile, frame: Frame) -> tuple[float, Any, Any]:
    """Share of pixels where the GPU path's mask is the processor's, and both results."""
    opened = Opened(file)
    gpu = NetworkSegmenter(file.spec, opened.backend)
    cpu = NetworkSegmenter(file.spec, OrtBackend(file))
    try:
        ours, theirs = gpu.segment(frame, Meter()), cpu.segment(frame, Meter())
    finally:
        cpu.close()
    opened.close()
    return float((label_map(ours) == label_map(theirs)).mean()), ours, theirs


@pytest.mark.parametrize("size", ["1280x720", "641x359"])
def test_a_portrait_is_the_processors(size: str) -> None:
    frame = drawn(f"synthetic://portrait?size={size}&frames=1")
    same, ours, theirs = agreement(load_model("portrait"), frame)
    assert same >= 0.995
    assert isinstance(ours, Matte)
    assert ours.person.shape == theirs.person.shape
    assert ours.threshold == theirs.threshold
    assert np.abs(ours.person - theirs.person).mean() < 0.005
    assert 0.05 < (ours.person > 0.5).mean() < 0.95


@pytest.mark.parametrize("model", ["driving", "driving-icnet"])
def test_a_street_is_the_processors(model: str) -> None:
    file, frame = load_model(model), drawn("synthetic://road?size=1280x720&frames=1")
    same, ours, theirs = agreement(file, frame)
    assert same >= 0.9945  # at frame size, where the processor enlarges its scores
    assert isinstance(ours, SemanticMap)
    assert isinstance(theirs, SemanticMap)
    assert ours.scores is None
    assert theirs.scores is not None
    assert ours.labels.shape == file.spec.input.size[::-1]
    enlarged = best_class(theirs.scores, size=file.spec.input.size)
    assert (ours.labels == enlarged).mean() >= 0.995
    assert len(np.unique(ours.labels)) > 3


def test_objects_are_the_processors() -> None:
    frame = drawn("synthetic://road?size=1280x720&frames=1")
    same, ours, theirs = agreement(load_model("instances"), frame)
    assert same >= 0.995
    assert isinstance(ours, Instances)
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.boxes_xyxy, theirs.boxes_xyxy, atol=2.5)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=0.03)


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("head", ["probability", "logit", "pair", "three"])
@pytest.mark.parametrize("out_layout", ["nchw", "nhwc"])
def test_every_person_head_and_layout(tmp_path: Path, head: str, fit: str, out_layout: str) -> None:
    changes = {"layout": "nchw" if head == "pair" else "nhwc", "out_layout": out_layout}
    path = tiny_model(tmp_path / "m.onnx", head, fit=fit, dtype="uint8", **changes)
    _, ours, theirs = agreement(load_model(path), noise(Size(100, 68)))
    assert ours.person.shape == theirs.person.shape
    assert np.abs(ours.person - theirs.person).max() <= 0.06  # a level is 0.025 of the logit
    assert np.abs(ours.person - theirs.person).mean() <= 0.01


def test_a_float_input_is_normalised_on_the_gpu(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx", dtype="float32", layout="nchw")
    _, ours, theirs = agreement(load_model(path), noise(Size(64, 48)))
    assert np.abs(ours.person - theirs.person).mean() <= 0.01


def test_colour_spaces_reach_the_network(tmp_path: Path) -> None:
    file = load_model(colors_model(tmp_path / "c.onnx", size=Size(32, 24)))
    frame = noise(Size(60, 40))
    opened = Opened(file)
    cpu = OrtBackend(file)
    gpu_maps: list[Any] = []
    cpu_maps: list[Any] = []
    for color in (ColorSpace(), ColorSpace("bt709"), ColorSpace("bt601", full_range=True)):
        seen = replace(frame, color=color)
        gpu_maps.append(NetworkSegmenter(file.spec, opened.backend).segment(seen, Meter()))
        cpu_maps.append(NetworkSegmenter(file.spec, cpu).segment(seen, Meter()))
    for ours, theirs in zip(gpu_maps, cpu_maps, strict=True):
        assert (ours.labels == theirs.labels).mean() >= 0.98
    assert opened.driver.captures == 1, "colours change what the kernel is told, not the graph"
    opened.close()


def test_it_is_a_backend_that_takes_frames(tiny: Opened) -> None:
    assert isinstance(tiny.backend, FrameBackend)
    assert not isinstance(OrtBackend(tiny.file), FrameBackend)
    assert tiny.backend.info == tiny.network.info


def refused(file: ModelFile, match: str, **info: Any) -> None:
    driver, network = FakeDriver(), OrtNetwork(file)
    spec = info.pop("spec", file.spec)
    network.info = replace(network.info, **info)
    with pytest.raises(ModelError, match=match):
        GpuBackend(spec, network, driver)
    assert driver.closed
    assert network.gone


def test_networks_that_no_kernel_fits_are_refused(tmp_path: Path) -> None:
    file = load_model(tiny_model(tmp_path / "t.onnx"))
    person = TensorInfo("person", (1, 1, 24, 32), "float32")
    free = TensorInfo("image", (1, None, 32, 3), "uint8")
    refused(file, r"'image' has shape 1x\?x32x3; a GPU needs every side fixed", inputs=(free,))
    whole = replace(person, dtype="int64")
    refused(file, "'person' is int64, expected scores as float32 or float16", outputs=(whole,))
    free = replace(person, shape=(1, 1, None, 32))
    refused(file, r"'person' has shape 1x1x\?x32", outputs=(free,))


def test_networks_of_another_recipe_are_refused(tmp_path: Path) -> None:
    file = load_model(tiny_model(tmp_path / "t.onnx"))
    image = OrtNetwork(file).info.inputs[0]
    other = TensorInfo("mask", (1, 2), "float32")
    differ = "recipe and network differ: "
    refused(file, differ + ".*mask", inputs=(image, other))
    refused(file, differ + "input.size 32x24", inputs=(replace(image, shape=(1, 12, 32, 3)),))
    refused(file, differ + "input.dtype is uint8", inputs=(replace(image, dtype="float64"),))
    output = file.spec.outputs[0].model_copy(update={"channel": 3})
    spec = file.spec.model_copy(update={"outputs": (output,)})
    refused(file, differ + "outputs.channel is 3", spec=spec)


def test_a_half_precision_input_is_the_float_recipes(tmp_path: Path) -> None:
    file = load_model(tiny_model(tmp_path / "t.onnx", dtype="float32", layout="nchw"))
    driver, network = FakeDriver(), OrtNetwork(file)
    image = replace(network.info.inputs[0], dtype="float16")
    network.info = replace(network.info, inputs=(image,))
    backend = GpuBackend(file.spec, network, driver)
    backend._lanes._idle[0]._network = _NoNetwork()  # type: ignore[assignment]
    backend.infer_frame(noise(Size(40, 30)))
    seen = driver.view(network.bound[0]["image"], np.float16, 3 * 24 * 32)
    assert 0 <= seen.min() < seen.max() <= 255
    backend.close()


class _NoNetwork:
    def enqueue(self, stream: int) -> None:
        pass


def test_stage_times_of_a_backend_that_takes_frames(tiny: Opened) -> None:
    recorded: list[tuple[str, float]] = []

    class Timer:
        def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
            recorded.append((stage, wall_s))

    result = NetworkSegmenter(spec_for(), tiny.backend).segment(noise(Size(40, 30)), Timer())
    assert isinstance(result, Matte)
    assert [stage for stage, _ in recorded] == ["preprocess", "infer", "decode_result"]
    assert recorded[0][1] == 0.0
    assert recorded[1][1] > 0.0


def test_objects_come_as_the_network_gives_them(tmp_path: Path) -> None:
    path = boxes_model(
        tmp_path / "b.onnx",
        size=Size(32, 24),
        classes=("cat", "dog"),
        found=[(1, 0.9, (0.1, 0.1, 0.6, 0.7))],
    )
    opened = Opened(load_model(path))
    outputs, _ = opened.backend.infer_frame(noise(Size(60, 40)))
    assert set(outputs) == {"boxes", "scores", "coefficients", "prototypes"}
    assert outputs["boxes"].astype(float).round(3).tolist() == [[[0.1, 0.1, 0.6, 0.7]]]
    assert opened.driver.launched == ["i420_to_input"]
    opened.close()
