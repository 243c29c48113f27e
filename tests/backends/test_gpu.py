"""Frames through the GPU backend, on a simulated GPU with ONNX Runtime as its network."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_driver import FakeDriver
from ort_network import OrtNetwork
from tiny_onnx import SIZE, spec_for, tiny_model
from tiny_tasks import boxes_model, colors_model

from edgeseg.assemble import open_source
from edgeseg.backends import OrtBackend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.config import SourceConfig
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.meter import Meter
from edgeseg.model_file import ModelFile, load_model
from edgeseg.ops.labels import label_map
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import FrameBackend, TensorInfo
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import ColorSpace, Frame, Instances, Matte, Planes, SemanticMap, Size


def drawn(uri: str) -> Frame:
    source = open_source(SourceConfig(uri=uri))
    try:
        frame = source.read()
        assert frame is not None
        return frame
    finally:
        source.close()


def noise(size: Size, *, seed: int = 3, color: ColorSpace = ColorSpace()) -> Frame:  # noqa: B008
    """A picture of smooth random colours."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    bgr = cv2.resize(src=small, dsize=tuple(size), interpolation=cv2.INTER_CUBIC)
    return Frame(from_bgr(bgr).freeze(), 0, 0.0, color=color)


class Opened:
    """A GPU backend with its simulated GPU."""

    def __init__(self, model: ModelFile | str, *, lanes: int = 1, **driver: Any) -> None:
        capturable = driver.pop("capturable", True)
        self.file = load_model(model) if isinstance(model, str) else model
        self.driver = FakeDriver(**driver)
        self.network = OrtNetwork(self.file, capturable=capturable)
        self.backend = GpuBackend(self.file.spec, self.network, self.driver, lanes=lanes)

    def close(self) -> None:
        self.backend.close()
        assert self.driver.leaks == [], self.driver.leaks
        assert self.driver.closed
        assert self.network.gone


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


def test_a_street_is_the_processors() -> None:
    frame = drawn("synthetic://road?size=1280x720&frames=1")
    same, ours, theirs = agreement(load_model("driving-icnet"), frame)
    assert same >= 0.98  # labels are enlarged here, scores there: edges differ by their stairs
    assert isinstance(ours, SemanticMap)
    assert isinstance(theirs, SemanticMap)
    assert ours.scores is None
    assert (ours.labels == theirs.labels).mean() >= 0.995
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


def test_runs_are_a_graph_from_the_second_of_a_size_on(tiny: Opened) -> None:
    frame = noise(Size(40, 30))
    first, _ = tiny.backend.infer_frame(frame)
    assert tiny.driver.captures == 0
    for _ in range(3):
        again, _ = tiny.backend.infer_frame(frame)
        np.testing.assert_array_equal(again["person"], first["person"])
    assert (tiny.driver.captures, tiny.driver.graph_launches) == (1, 3)
    larger, geometry = tiny.backend.infer_frame(noise(Size(80, 50)))
    assert geometry.frame == Size(80, 50)
    assert tiny.driver.graph_launches == 3, "a graph of another size was replayed"
    assert larger["person"].shape == first["person"].shape
    tiny.backend.infer_frame(noise(Size(80, 50)))
    assert tiny.driver.captures == 2


def test_a_replayed_graph_sees_the_new_picture(tiny: Opened) -> None:
    size = Size(40, 30)
    dark, bright = (Frame(Planes.empty(size), 0, 0.0) for _ in range(2))
    for frame, level in ((dark, 20), (bright, 230)):
        for plane in (frame.planes.y, frame.planes.u, frame.planes.v):
            plane[...] = 128
        frame.planes.y[...] = level
    means = [
        float(tiny.backend.infer_frame(frame)[0]["person"].mean())
        for frame in (dark, dark, bright, dark, bright)
    ]
    assert [mean > 200 for mean in means] == [False, False, True, False, True]
    assert tiny.driver.graph_launches == 4


def test_frames_of_many_sizes_keep_no_memory(tiny: Opened) -> None:
    for side in (8, 200, 64, 1, 200, 33, 400):
        tiny.backend.infer_frame(noise(Size(side, side)))
    held = tiny.driver._memory
    assert sum(map(len, held.values())) < 400 * 400 * 2 + 20_000
    assert len(held) <= 8


@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 1), Size(31, 3), Size(3, 77)])
def test_tiny_and_odd_frames(tiny: Opened, size: Size) -> None:
    outputs, geometry = tiny.backend.infer_frame(noise(size))
    assert outputs["person"].shape == (1, 1, SIZE.height, SIZE.width)
    assert outputs["person"].dtype == np.uint8
    assert geometry.frame == size


def test_padded_rows_are_read_right(tiny: Opened) -> None:
    frame = noise(Size(50, 30))
    wide = [np.pad(p, ((0, 0), (0, 14))) for p in (frame.planes.y, frame.planes.u, frame.planes.v)]
    views = Planes(wide[0][:, :50], wide[1][:, :25], wide[2][:, :25])
    padded, _ = tiny.backend.infer_frame(replace(frame, planes=views))
    packed, _ = tiny.backend.infer_frame(frame)
    np.testing.assert_array_equal(padded["person"], packed["person"])


def test_results_belong_to_the_caller(tiny: Opened) -> None:
    first, _ = tiny.backend.infer_frame(noise(Size(40, 30)))
    kept = first["person"].copy()
    first["person"][...] = 7
    second, _ = tiny.backend.infer_frame(noise(Size(40, 30), seed=9))
    third, _ = tiny.backend.infer_frame(noise(Size(40, 30)))
    np.testing.assert_array_equal(third["person"], kept)
    assert not np.array_equal(second["person"], kept)


def test_a_network_that_cannot_be_captured_runs_without_a_graph(tmp_path: Path) -> None:
    file = load_model(tiny_model(tmp_path / "t.onnx"))
    opened = Opened(file, capturable=False)
    for _ in range(3):
        opened.backend.infer_frame(noise(Size(40, 30)))
    assert opened.driver.captures == 0
    opened.close()


def test_a_spoilt_capture_is_said_once_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")), no_graphs=True, lanes=2)
    with caplog.at_level(logging.WARNING):
        opened.backend.warm_up()
        found = [opened.backend.infer_frame(noise(Size(40, 30)))[0]["person"] for _ in range(4)]
    assert all(np.array_equal(f, found[0]) for f in found)
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "no CUDA graph, kernels are launched one by one: capture was spoilt" in said[0]
    opened.close()


def test_host_tensors_give_the_networks_own_outputs(tiny: Opened) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE[::-1], 3), dtype=np.uint8)
    ours = tiny.backend.infer({"image": image})
    theirs = OrtBackend(tiny.file).infer({"image": image})
    np.testing.assert_array_equal(ours["person"], theirs["person"])
    assert ours["person"].dtype == np.float32


def test_tensors_that_do_not_fit_are_refused(tiny: Opened) -> None:
    with pytest.raises(ModelError, match=r"inputs should be 'image', got 'picture'"):
        tiny.backend.infer({"picture": np.zeros((1, 24, 32, 3), np.uint8)})
    with pytest.raises(
        ModelError, match="'image' should be uint8 1x24x32x3, got float32 1x24x32x3"
    ):
        tiny.backend.infer({"image": np.zeros((1, 24, 32, 3), np.float32)})


def test_threads_share_lanes(tmp_path: Path) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")), lanes=2)
    frames = [noise(Size(40 + n % 3, 30), seed=n) for n in range(24)]
    alone = [opened.backend.infer_frame(frame)[0]["person"] for frame in frames]
    found: dict[int, Any] = {}

    def work(first: int) -> None:
        for n in range(first, len(frames), 4):
            found[n] = opened.backend.infer_frame(frames[n])[0]["person"]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(frames)
    assert all(np.array_equal(found[n], alone[n]) for n in found)
    assert opened.network.opened == 2
    opened.close()


def test_close_waits_for_a_call_and_later_calls_are_refused(tmp_path: Path) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")))
    inside, go = threading.Event(), threading.Event()
    real = opened.network.session.run_with_iobinding
    results: list[object] = []

    class Slow:
        def run_with_iobinding(self, binding: object) -> None:
            inside.set()
            go.wait(5)
            real(binding)

    opened.network.session = Slow()
    first = threading.Thread(
        target=lambda: results.append(opened.backend.infer_frame(noise(Size(40, 30))))
    )
    first.start()
    assert inside.wait(5)
    closing = threading.Thread(target=opened.backend.close)
    closing.start()
    while not opened.backend._lanes._closed:
        time.sleep(0.001)
    with pytest.raises(BackendUnavailable, match="the model was closed"):
        opened.backend.infer_frame(noise(Size(40, 30)))
    assert closing.is_alive()
    assert not opened.driver.closed
    go.set()
    first.join(5)
    closing.join(5)
    assert len(results) == 1
    opened.close()  # again


def test_scores_that_are_no_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    person = load_model(tiny_model(tmp_path / "p.onnx", "logit"))
    opened = Opened(person)
    real = opened.network.session.run_with_iobinding

    class Broken:
        def run_with_iobinding(self, binding: object) -> None:
            real(binding)
            address = opened.network.bound[0]["person"]
            opened.driver.view(address, np.float32, 5)[2] = np.nan

    opened.network.session = Broken()
    for _ in range(3):
        outputs, _ = opened.backend.infer_frame(noise(Size(40, 30)))
        assert not outputs["person"].any()
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "'person' holds NaN or infinity; such frames count as all background" in caplog.text
    opened.network.session = type("Sound", (), {"run_with_iobinding": staticmethod(real)})()
    assert opened.backend.infer_frame(noise(Size(40, 30)))[0]["person"].any()
    opened.close()


def test_a_gpu_that_is_full_leaves_nothing_behind(tmp_path: Path) -> None:
    file = load_model(tiny_model(tmp_path / "t.onnx"))
    driver, network = FakeDriver(memory=9000), OrtNetwork(file)
    with pytest.raises(ModelError, match="out of memory"):
        GpuBackend(file.spec, network, driver, lanes=3)
    assert driver.closed
    assert network.gone


def test_a_frame_too_large_for_the_gpu_is_an_error_and_smaller_ones_go_on(tmp_path: Path) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")), memory=200_000)
    small = noise(Size(40, 30))
    before, _ = opened.backend.infer_frame(small)
    with pytest.raises(ModelError, match="out of memory"):
        opened.backend.infer_frame(noise(Size(1000, 1000)))
    after, _ = opened.backend.infer_frame(small)
    np.testing.assert_array_equal(before["person"], after["person"])
    opened.close()


def test_a_failing_network_is_one_error_and_the_next_frame_runs(tiny: Opened) -> None:
    real = tiny.network.session.run_with_iobinding
    count = iter(range(100))

    class Failing:
        def run_with_iobinding(self, binding: object) -> None:
            if next(count) == 1:
                raise ModelError("the network failed")
            real(binding)

    tiny.network.session = Failing()
    frame = noise(Size(40, 30))
    before, _ = tiny.backend.infer_frame(frame)
    with pytest.raises(ModelError, match="the network failed"):
        tiny.backend.infer_frame(frame)
    after, _ = tiny.backend.infer_frame(frame)
    np.testing.assert_array_equal(before["person"], after["person"])


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
    refused(
        file, "'person' is int64, expected scores as float32 or float16", outputs=(whole,)
    )
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
