"""A build beside the thread that waits for it: what is told meanwhile, and Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from edgeseg.engine import aside
from edgeseg.engine.aside import build_aside
from edgeseg.engine.request import Progress


def made_of(build: object, *, stoppable: bool = True, progress: Progress | None = None) -> object:
    return build_aside(build, title="TensorRT 8.6.1", stoppable=stoppable, progress=progress)  # type: ignore[arg-type]


def test_it_builds_in_a_thread_of_its_own() -> None:
    assert made_of(lambda tell: threading.current_thread() is not threading.main_thread())


def test_errors_come_out_where_the_build_was_asked_for() -> None:
    def fail(tell: Progress) -> None:
        raise ValueError("of the build")

    with pytest.raises(ValueError, match="of the build"):
        made_of(fail)


def test_a_long_build_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = threading.Event()
    seen: list[tuple[str, float]] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.set()

    def build(tell: Progress) -> str:
        tell("Tactic selection", 0.25)
        assert said.wait(10)
        return "engine"

    monkeypatch.setattr(aside, "SAY_S", 0.0)
    heard = Heard()
    aside.log.addHandler(heard)
    try:
        found = made_of(build, progress=lambda phase, share: seen.append((phase, share)))
    finally:
        aside.log.removeHandler(heard)
    assert found == "engine"
    assert seen == [("Tactic selection", 0.25)]
    assert "still building: 0 s so far, 25% (Tactic selection)" in caplog.text


INTERRUPTED = """
import os, signal, sys, time
from edgeseg.engine.aside import build_aside
def build(tell):
    print("building", flush=True)
    for step in range({steps}):
        time.sleep(0.05)
        {tell}
    print("built", flush=True)
try:
    build_aside(build, title="TensorRT 8.6.1", stoppable={stoppable}, progress=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupted(
    *, steps: int, stoppable: bool, times: int, pause_s: float = 0.0
) -> tuple[int, list[str], str]:
    """Returns how a process ends that is interrupted while it builds, and what it wrote."""
    tell = "tell('phase', 0.5)" if stoppable else "pass"
    code = INTERRUPTED.format(steps=steps, tell=tell, stoppable=stoppable)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    assert process.stderr is not None
    said = ""
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        said += process.stderr.readline() if times > 1 else ""
        time.sleep(pause_s)
    out, err = process.communicate(timeout=30)
    return process.returncode, out.splitlines(), said + err


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_ctrl_c_ends_a_build_that_can_be_stopped() -> None:
    code, out, err = interrupted(steps=400, stoppable=True, times=1)
    assert (code, out) == (0, ["interrupted"])
    assert err == "stopping; Ctrl-C again ends edgeseg at once\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_ctrl_c_waits_for_one_that_cannot() -> None:
    code, out, err = interrupted(steps=20, stoppable=False, times=1)
    assert (code, out) == (0, ["built", "interrupted"])
    assert err.startswith("TensorRT 8.6.1 cannot stop a build: waiting; Ctrl-C again ends")


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_second_ctrl_c_ends_the_process() -> None:
    code, out, _ = interrupted(steps=400, stoppable=False, times=2, pause_s=0.5)
    assert (code, out) == (-signal.SIGINT, [])
