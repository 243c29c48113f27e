"""What both drivers must do, on a stub or on a GPU: run by test_drivers.py in a process of its own.

The kind of driver is in EDGESEG_TEST_CUDA; EDGESEG_TEST_STUB is set where libcuda.so.1 is our stub,
which counts what is held and what was called wrongly.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from emulation import put_on_stub, stub_counts, stub_forgive
from ort_network import OrtNetwork
from pictures import drawn, input_spec, noise, packed, recipe_for
from test_twins import described, random_scores

from edgeseg.backends import OrtBackend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.cuda import Driver, open_driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.recipes import INPUT_RECIPE, SCORE_RECIPE
from edgeseg.cuda.twins import i420_to_input, person_to_bytes, scores_to_labels
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.meter import Meter
from edgeseg.model_file import load_model
from edgeseg.ops.labels import label_map
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import Size

KIND: Any = os.environ["EDGESEG_TEST_CUDA"]
STUB = bool(os.environ.get("EDGESEG_TEST_STUB"))


def nothing_left() -> None:
    if STUB:
        counts = stub_counts()
        assert not any(counts.values()), counts


@pytest.fixture
def driver() -> Iterator[Driver]:
    nothing_left()
    opened = open_driver(KIND)
    with opened.current():
        yield opened
    opened.close()
    opened.close()
    nothing_left()


def test_it_is_the_one_asked_for(driver: Driver) -> None:
    assert driver.name == KIND
    assert driver.gpu.name
    assert driver.gpu.sm >= (5, 3)
    assert driver.gpu.memory > 2**20


def test_bytes_go_up_and_come_back(driver: Driver) -> None:
    stream, data = driver.stream(), np.arange(1000, dtype=np.float32)
    address = driver.alloc(data.nbytes)
    assert address % 256 == 0
    host, back = driver.pinned((10, 100), np.float32), driver.pinned((10, 100), np.float32)
    host[...] = data.reshape(10, 100)
    driver.upload(address, host, stream)
    driver.download(back, address, stream)
    driver.synchronize(stream)
    np.testing.assert_array_equal(back, host)
    plain = np.empty(500, np.float32)  # pageable, from the middle
    driver.download(plain, address + 2000, stream)
    driver.synchronize(stream)
    np.testing.assert_array_equal(plain, data[500:])
    driver.free_pinned(host)
    driver.free_pinned(back)
    driver.free(address)
    driver.close_stream(stream)


def test_what_is_left_is_freed_at_close() -> None:
    driver = open_driver(KIND)
    with driver.current():
        stream, event = driver.stream(), driver.event()
        address, host = driver.alloc(4096), driver.pinned((4,), np.uint8)
        driver.begin_capture(stream)
        driver.upload(address, host, stream)
        driver.end_capture(stream)
        driver.record(event, stream)
        Kernels(driver)
    driver.close()
    nothing_left()


def test_close_from_another_thread_lets_go() -> None:
    driver = open_driver(KIND)
    with driver.current():
        driver.alloc(4096)
        driver.stream()
    thread = threading.Thread(target=driver.close)
    thread.start()
    thread.join()
    nothing_left()


def test_current_nests_and_works_in_many_threads() -> None:
    driver = open_driver(KIND)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                with driver.current(), driver.current():
                    stream, address = driver.stream(), driver.alloc(64)
                    data, back = np.random.bytes(64), np.empty(64, np.uint8)  # noqa: NPY002
                    driver.upload(address, np.frombuffer(data, np.uint8), stream)
                    driver.download(back, address, stream)
                    driver.synchronize(stream)
                    assert back.tobytes() == data
                    driver.free(address)
                    driver.close_stream(stream)
            if STUB:
                assert stub_counts()["depth"] == 0
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    driver.close()
    nothing_left()


def test_an_error_inside_leaves_the_stack_as_it_was() -> None:
    driver = open_driver(KIND)
    with pytest.raises(ZeroDivisionError), driver.current():
        raise ZeroDivisionError
    if STUB:
        assert stub_counts()["depth"] == 0
    driver.close()
    nothing_left()


def test_two_drivers_share_the_primary_context() -> None:
    first, second = open_driver(KIND), open_driver(KIND)
    with first.current():
        address, stream = first.alloc(16), first.stream()
        first.upload(address, np.full(16, 5, np.uint8), stream)
        first.synchronize(stream)
    with second.current():
        back, stream = np.empty(16, np.uint8), second.stream()
        second.download(back, address, stream)
        second.synchronize(stream)
    assert (back == 5).all()
    first.close()
    with second.current():
        second.alloc(16)
    second.close()
    nothing_left()


def test_memory_that_is_not_there(driver: Driver) -> None:
    with pytest.raises(
        ModelError, match=r"the GPU's memory ran out allocating .* MiB: .*(?i:memory)"
    ):
        driver.alloc(1 << 44)
    driver.free(driver.alloc(64))


def test_events_measure_time(driver: Driver) -> None:
    stream, start, end = driver.stream(), driver.event(), driver.event()
    driver.record(start, stream)
    driver.record(end, stream)
    assert 0 <= driver.elapsed_ms(start, end) < 1000
    driver.close_event(start)
    driver.close_event(end)


def test_a_graph_replays_with_new_bytes(driver: Driver) -> None:
    stream, address = driver.stream(), driver.alloc(64)
    host, back = driver.pinned((64,), np.uint8), driver.pinned((64,), np.uint8)
    back[...] = 0
    driver.begin_capture(stream)
    driver.upload(address, host, stream)
    driver.download(back, address, stream)
    graph = driver.end_capture(stream)
    assert not back.any(), "recording is not running"
    for value in (3, 4):
        host[...] = value
        driver.launch_graph(graph, stream)
        driver.synchronize(stream)
        assert (back == value).all()
    driver.close_graph(graph)


def test_a_spoilt_capture_is_an_error_and_the_stream_lives_on(driver: Driver) -> None:
    stream, address = driver.stream(), driver.alloc(64)
    driver.begin_capture(stream)
    with pytest.raises(BackendUnavailable, match="waiting for a stream"):
        driver.synchronize(stream)
    if STUB:  # a real driver refuses to end it now; the stub ends it
        driver.close_graph(driver.end_capture(stream))
        assert stub_forgive() == 1
    else:
        with pytest.raises(BackendUnavailable, match="ending a capture"):
            driver.end_capture(stream)
    driver.upload(address, np.zeros(64, np.uint8), stream)
    driver.synchronize(stream)


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
            recipe = described(scores, "nhwc", activation=activation, channel=1)[1]
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


def test_a_kernel_that_is_not_there(driver: Driver) -> None:
    image = driver.compile('extern "C" __global__ void nothing() {}')
    with pytest.raises(BackendUnavailable, match="the GPU failed loading kernel 'missing'"):
        driver.function(image, "missing")


def test_calls_without_a_context_are_errors(driver: Driver) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            driver.alloc(64)
        except BackendUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 1
    if STUB:
        assert stub_forgive() == 1


def test_a_process_that_never_closes_ends_well() -> None:
    code = (
        "from edgeseg.cuda import open_driver\n"
        f"driver = open_driver({KIND!r})\n"
        "with driver.current():\n"
        "    stream, block = driver.stream(), driver.alloc(64)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
