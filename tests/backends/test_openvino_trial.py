"""A file's first run in a process of its own: crashes are survived, told and remembered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_onnx import network, save, spec_for, tiny_model

from edgeseg.backends import BackendOptions, open_backend, openvino_trial
from edgeseg.backends.openvino_trial import ensure_works, try_out
from edgeseg.device import package_version
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.model_file import ModelFile, load_model

pytestmark = pytest.mark.skipif(
    package_version("openvino") is None, reason="openvino is not installed"
)

RUN = subprocess.run


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "tiny.onnx"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tuning.json"


def dying(monkeypatch: pytest.MonkeyPatch, code: str) -> list[int]:
    """Has the trial's process run this instead of OpenVINO; returns a count of the processes."""
    started: list[int] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        started.append(1)
        return RUN([sys.executable, "-c", code], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "run", run)
    return started


def test_it_times_a_file_and_remembers_that_it_works(model: ModelFile, cache: Path) -> None:
    measured = try_out(model, cores=2, cache=cache)
    assert list(measured.network_ms) == [1]
    assert 0 < measured.network_ms[1] < 100
    ((key, value),) = json.loads(cache.read_text()).items()
    assert value is True
    for part in (model.sha256, f"openvino {package_version('openvino')}", "works"):
        assert part in key


def test_a_file_that_works_is_not_tried_again(
    model: ModelFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_works(model, cache=cache)
    started = dying(monkeypatch, "pass")
    ensure_works(model, cache=cache)
    assert started == []


def test_a_crash_is_one_line_and_is_remembered(
    model: ModelFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = dying(monkeypatch, "import os; os.kill(os.getpid(), 11)")
    said = rf"^openvino {package_version('openvino')} crashes \(signal 11\) on .*tiny\.onnx; use "
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=said):
            ensure_works(model, cache=cache)
        with pytest.raises(BackendUnavailable, match=said):
            try_out(model, cores=2, cache=cache)
    assert started == [1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_trial_somebody_ended_says_nothing_about_the_file(
    model: ModelFile, cache: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    started = dying(monkeypatch, f"import os; os.kill(os.getpid(), {int(number)})")
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=rf"crashes \(signal {int(number)}\)"):
            ensure_works(model, cache=cache)
    assert started == [1, 1]


def test_a_file_it_refuses_is_a_model_error_in_its_own_words(tmp_path: Path, cache: Path) -> None:
    unknown = network()
    unknown.graph.node[1].op_type = "NoSuchOperator"
    file = load_model(save(tmp_path / "op.onnx", unknown, spec_for()))
    with pytest.raises(ModelError, match=r"op\.onnx: openvino \S+ cannot load it: .*NoSuchOperat"):
        try_out(file, cores=1, cache=cache)
    assert not cache.exists()


def test_an_answer_that_is_none_is_a_model_error(
    model: ModelFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, "print('hello')")
    with pytest.raises(ModelError, match=r"tiny\.onnx: openvino gave no answer"):
        try_out(model, cores=1, cache=cache)
    dying(monkeypatch, "raise ImportError('libtbb is missing')")
    with pytest.raises(ModelError, match=r"tiny\.onnx: ImportError: libtbb is missing"):
        try_out(model, cores=1, cache=cache)


def test_a_trial_that_hangs_or_does_not_start_is_given_up(
    model: ModelFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_trial, "TIMEOUT_S", 0.2)
    dying(monkeypatch, "import time; time.sleep(30)")
    with pytest.raises(BackendUnavailable, match=r"could not try tiny\.onnx .*\(TimeoutExpired\)"):
        try_out(model, cores=1, cache=cache)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(BackendUnavailable, match=r"\(FileNotFoundError\); use --backend onnx"):
        try_out(model, cores=1, cache=cache)


def test_opening_tries_first(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    dying(monkeypatch, "import os; os.abort()")
    with pytest.raises(BackendUnavailable, match=r"crashes \(signal 6\)"):
        open_backend(model, kind="openvino", options=BackendOptions())


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    """With multiprocessing it would start itself again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "print('started')\n"
        "from edgeseg.backends import BackendOptions, open_backend\n"
        "from edgeseg.model_file import load_model\n"
        "open_backend(load_model('tiny.onnx'), kind='openvino', options=BackendOptions())\n"
    )
    tiny_model(tmp_path / "tiny.onnx")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("started\n", "", 0)
