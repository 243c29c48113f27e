"""Kernels and whole frames through both drivers: run by test_drivers.py as driver_suite.py is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from driver_kit import KIND, STUB, nothing_left
from emulation import put_on_stub, stub_counts
from ort_network import OrtNetwork
from pictures import drawn, input_spec, noise, packed, recipe_for
from test_twins import described, random_scores

from edgeseg.backends import OrtBackend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.cuda import Driver, open_driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.recipes import INPUT_RECIPE, SCORE_RECIPE
from edgeseg.cuda.twins import i420_to_input, person_to_bytes, scores_to_labels
from edgeseg.meter import Meter
from edgeseg.model_file import load_model
from edgeseg.ops.labels import label_map
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import Size


def test_kernels_give_what_their_twins_give(driver: Driver) -> None:
    kernels, stream = Kernels(driver), driver.stream()
    flag = driver.alloc(4)
    frame_size, spec = Size(321, 123), input_spec((160, 96), fit="letterbox")
    picture = packed(noise(frame_size))
    recipe = recipe_for(frame_size, spec)
    expected = i420_to_input(picture, recipe)
    source, told = up(driver, picture), up(driver, np.array([recipe], INPUT_RECIPE))
    tensor = driver.alloc(expected.nbytes)
    kernels.make_input(
        picture=source, recipe=told, tensor=tensor, damaged=flag, size=spec.size, stream=stream
    )
    ours = down(driver, tensor, expected)
    assert np.abs(ours.astype(int) - expected.astype(int)).max() <= 1
    assert (ours != expected).mean() <= 0.001
    for name, activation, twin in (
        ("scores_to_labels", "none", scores_to_labels),
        ("person_to_bytes", "softmax", person_to_bytes),
    ):
        for dtype in ("float32", "float16"):
            scores = random_scores(5, "nhwc", dtype)
            scores[0, 4, 5] = np.nan
            size = Size(26, 18) if twin is scores_to_labels else None
            recipe = described(scores, "nhwc", size, activation=activation, channel=1)[1]
            values, damaged = twin(scores.ravel(), recipe)
            out = driver.alloc(values.nbytes)
            kernels.decide(
                name,
                scores=up(driver, scores),
                recipe=up(driver, np.array([recipe], SCORE_RECIPE)),
                out=out,
                damaged=flag,
                pixels=values.size,
                stream=stream,
            )
            found = down(driver, out, values)
            assert np.abs(found.astype(int) - values.astype(int)).max() <= (twin is person_to_bytes)
            assert bool(down(driver, flag, np.zeros(1, np.uint32))[0]) == damaged


def up(driver: Driver, array: Any) -> int:
    address, stream = driver.alloc(array.nbytes), driver.stream()
    driver.upload(address, np.ascontiguousarray(array), stream)
    driver.synchronize(stream)
    return address


def down(driver: Driver, address: int, like: Any) -> Any:
    found, stream = np.empty_like(like), driver.stream()
    for waiting in list(driver._streams):  # type: ignore[attr-defined]
        driver.synchronize(waiting)
    driver.download(found, address, stream)
    driver.synchronize(stream)
    return found


@pytest.mark.skipif(not STUB, reason="the network stands for one on a GPU: it reads host memory")
def test_frames_through_a_network_give_the_processors_mask() -> None:
    file, frame = load_model("portrait"), drawn("portrait", Size(640, 360))
    network = OrtNetwork(file, put_on=put_on_stub)
    gpu = NetworkSegmenter(file.spec, GpuBackend(file.spec, network, open_driver(KIND), lanes=2))
    cpu = NetworkSegmenter(file.spec, OrtBackend(file))
    expected = label_map(cpu.segment(frame, Meter()))
    found: list[Any] = []

    def work() -> None:
        found.extend(label_map(gpu.segment(frame, Meter())) for _ in range(3))  # the third: a graph

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 9
    assert all(np.array_equal(mask, found[0]) for mask in found)
    assert (found[0] == expected).mean() >= 0.995
    assert 0.05 < expected.mean() < 0.95
    assert stub_counts()["runnable graphs"] >= 1
    gpu.close()
    nothing_left()


@pytest.mark.skipif(not STUB, reason="the network stands for one on a GPU: it reads host memory")
def test_a_process_that_never_closes_its_model_ends_well() -> None:
    code = (
        "from emulation import put_on_stub\n"
        "from ort_network import OrtNetwork\n"
        "from pictures import drawn\n"
        "from edgeseg.backends.gpu import GpuBackend\n"
        "from edgeseg.cuda import open_driver\n"
        "from edgeseg.model_file import load_model\n"
        "from edgeseg.types import Size\n"
        "file = load_model('portrait-sinet')\n"
        "network = OrtNetwork(file, put_on=put_on_stub)\n"
        f"backend = GpuBackend(file.spec, network, open_driver({KIND!r}), lanes=2)\n"
        "for _ in range(3):\n"
        "    backend.infer_frame(drawn('portrait', Size(64, 48)))\n"
    )
    path = os.pathsep.join([os.environ["PYTHONPATH"], *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
