"""What both drivers must do, on a stub or on a GPU: run by test_drivers.py in a process of its own.

The kind of driver is in EDGESEG_TEST_CUDA; EDGESEG_TEST_STUB is set where libcuda.so.1 is our stub,
which counts what is held and what was called wrongly.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from driver_kit import KIND, STUB, nothing_left
from emulation import stub_counts, stub_forgive

from edgeseg.cuda import Driver, open_driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.errors import BackendUnavailable, ModelError


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
