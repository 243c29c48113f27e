"""Lanes of the GPU backend: graphs, sizes, threads, failures, closing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_driver import FakeDriver
from gpu_kit import Opened, noise
from ort_network import OrtNetwork
from tiny_onnx import SIZE, tiny_model

from edgeseg.backends import OrtBackend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.model_file import load_model
from edgeseg.types import Frame, Planes, Size


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(load_model(tiny_model(tmp_path / "tiny.onnx")))
    yield opened
    opened.close()


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


def test_a_network_is_captured_once_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")))
    compiling = [False, False, True]
    kind = type(opened.backend._lanes._idle[0]._network)
    monkeypatch.setattr(kind, "capturable", property(lambda self: compiling.pop(0)))
    for captures in (0, 0, 0, 1, 1):
        opened.backend.infer_frame(noise(Size(40, 30)))
        assert opened.driver.captures == captures
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


def test_a_network_that_fails_while_it_is_captured_leaves_no_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(load_model(tiny_model(tmp_path / "t.onnx")))
    driver, lane = opened.driver, opened.backend._lanes._idle[0]
    enqueue = lane._network.enqueue

    def refuses_capture(stream: int) -> None:
        if driver._capturing:
            raise ModelError("operation not permitted when stream is capturing")
        enqueue(stream)

    monkeypatch.setattr(lane._network, "enqueue", refuses_capture)
    found = [opened.backend.infer_frame(noise(Size(40, 30)))[0]["person"] for _ in range(4)]
    assert all(np.array_equal(f, found[0]) for f in found)
    assert driver.captures == 1
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
