"""What ``auto`` takes and why, and that what is asked for by name is obeyed or refused."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_onnx import tiny_model

from edgeseg.backends import choice, gpu_choice, opening, openvino_trial, timing, tuning
from edgeseg.backends.options import BackendOptions
from edgeseg.backends.tuning import Candidate, Tuning
from edgeseg.config import ModelConfig
from edgeseg.device import package_version
from edgeseg.errors import BackendUnavailable, ConfigError, EdgesegError, ModelError
from edgeseg.model_file import ModelFile, load_model, variant_path
from edgeseg.protocols import Backend
from edgeseg.spec import Build

VNNI = frozenset({"avx2", "avx512_vnni"})


@pytest.fixture(autouse=True)
def cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor made for INT8, no GPU, OpenVINO installed; tests change one of these."""
    monkeypatch.setattr(choice, "cpu_flags", lambda: VNNI)
    monkeypatch.setattr(gpu_choice, "has_gpu", lambda: False)
    monkeypatch.setattr(choice, "package_version", lambda name: "2026.4")


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "net.onnx"))


def make_int8(model: ModelFile, *, passed: bool = True, **changes: Any) -> ModelFile:
    build = Build(variant="int8", source_sha256=model.sha256, gate={"passed": passed})
    path = variant_path(model, "int8", model.path.parent)
    return load_model(tiny_model(path, precision="int8", build=build, **changes))


Outcome = float | EdgesegError | Tuning


def timed(monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, Outcome]) -> list[str]:
    """Has candidates take so many milliseconds, or fail; returns which were timed."""
    asked: list[str] = []

    def autotune(candidate: Candidate, **_: object) -> Tuning:
        asked.append(str(candidate))
        outcome = outcomes[str(candidate)]
        if isinstance(outcome, EdgesegError):
            raise outcome
        return outcome if isinstance(outcome, Tuning) else Tuning(1, 2, "all", outcome)

    monkeypatch.setattr(choice, "autotune", autotune)
    return asked


def chosen(model: ModelFile, **config: Any) -> tuple[str, list[str]]:
    """Precision and backend that would run, and the remarks."""
    settings = ModelConfig(**config)
    candidates, remarks = choice.cpu_candidates(model, settings)
    found, _ = choice.fastest(candidates, settings, live=True, remarks=remarks)
    return str(found), remarks


FP32, FP32_OV = "fp32 on onnxruntime", "fp32 on openvino"
INT8, INT8_OV = "int8 on onnxruntime", "int8 on openvino"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({FP32: 10, INT8: 5, INT8_OV: 3}, INT8_OV),
        ({FP32: 10, INT8: 5, INT8_OV: 4.9}, INT8),  # not worth the memory
        ({FP32: 10, INT8: 9.5, INT8_OV: 9.3}, FP32),  # not faster
        ({FP32: 10, INT8: 12, INT8_OV: 9}, INT8_OV),
    ],
)
def test_the_fastest_runs_the_simpler_one_when_close(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, times: dict[str, Outcome], expected: str
) -> None:
    make_int8(model)
    asked = timed(monkeypatch, times)
    found, remarks = chosen(model)
    assert found == expected
    assert asked == list(times)
    if expected == FP32:
        assert remarks[0] == (
            "int8 on onnxruntime: not 1.1 times as fast as fp32 on onnxruntime here "
            "(9.5 ms a picture, 10 ms)"
        )


def test_without_an_int8_file_float_is_compared(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, {FP32: 10, FP32_OV: 6})
    assert chosen(model) == (FP32_OV, [])


def test_without_openvino_there_is_onnxruntime(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "package_version", lambda name: None)
    asked = timed(monkeypatch, {FP32: 10, INT8: 5})
    assert chosen(model)[0] == FP32
    make_int8(model)
    assert chosen(model)[0] == INT8
    assert asked == [FP32, FP32, INT8]


def test_a_file_wants_frames_a_live_source_wants_its_frame(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, one = Tuning(1, 2, "all", 10.0), Tuning(2, 1, "all", 6.0)
    timed(monkeypatch, {FP32: two, FP32_OV: one})
    candidates, _ = choice.cpu_candidates(model, ModelConfig())
    for live, backend in ((True, "openvino"), (False, "onnxruntime")):
        found, _ = choice.fastest(candidates, ModelConfig(), live=live, remarks=[])
        assert found.backend == backend


def test_int8_needs_a_passed_gate(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    make_int8(model, passed=False)
    timed(monkeypatch, {FP32: 10, FP32_OV: 10, INT8: 5})
    assert chosen(model, backend="onnxruntime") == (
        FP32,
        [
            "int8 not taken: net.int8.onnx was not shown to be accurate enough "
            "(edgeseg build --data DIR)"
        ],
    )
    found, remarks = chosen(model, backend="onnxruntime", precision="int8")  # asked for: obeyed
    assert found == INT8
    assert "not shown to be accurate" in remarks[0]


@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        ({"avx2", "avx512f"}, False),
        ({"avx2", "avx_vnni"}, True),
        ({"asimd", "asimddp"}, True),
        ({"asimd"}, False),
    ],
)
def test_int8_needs_a_processor_for_it(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, flags: set[str], taken: bool
) -> None:
    make_int8(model)
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset(flags))
    timed(monkeypatch, {FP32: 10, INT8: 5})
    found, remarks = chosen(model, backend="onnxruntime")
    assert (found == INT8) is taken
    assert ["no VNNI or dot-product" in r for r in remarks] == ([] if taken else [True])


@pytest.mark.parametrize(("machine", "expected"), [("arm64", INT8), ("AMD64", FP32)])
def test_where_instructions_are_not_listed_apple_s_are_known(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, machine: str, expected: str
) -> None:
    make_int8(model)
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset())
    monkeypatch.setattr(platform, "machine", lambda: machine)
    timed(monkeypatch, {FP32: 10, INT8: 5})
    found, remarks = chosen(model, backend="onnxruntime")
    assert found == expected
    told = "int8 not taken: this system does not tell whether its processor has VNNI instructions"
    assert remarks == ([] if expected == INT8 else [told])


def test_a_damaged_or_foreign_int8_file_leaves_float(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    timed(monkeypatch, {FP32: 10})
    make_int8(model, fit="letterbox")
    found, remarks = chosen(model, backend="onnxruntime")
    assert found == FP32
    assert "net.int8.onnx was built with another input" in remarks[0]
    variant_path(model, "int8", model.path.parent).write_bytes(b"junk")
    found, remarks = chosen(model, backend="onnxruntime")
    assert found == FP32
    assert "not an ONNX model" in remarks[0]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


@pytest.mark.parametrize(("cost", "expected"), [(4.0, INT8), (9.5, FP32)])
def test_on_a_busy_machine_cpu_times_of_one_runtime_are_compared(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, cost: float, expected: str
) -> None:
    make_int8(model)
    busy: dict[str, Outcome] = {
        FP32: Tuning(1, 2, "all", 20.0, disturbed=True, alone_ms=10.0),
        INT8: Tuning(1, 2, "all", 25.0, disturbed=True, alone_ms=cost),
    }
    asked = timed(monkeypatch, busy)
    found, remarks = chosen(model)
    assert (found, asked) == (expected, [FP32, INT8])
    assert remarks[-1] == f"{INT8_OV}: not timed, this machine is busy with something else"


def test_what_fails_is_passed_over(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = BackendUnavailable("openvino crashes (signal 11)")
    timed(monkeypatch, {FP32: 10, FP32_OV: crash})
    assert chosen(model) == (FP32, [f"{FP32_OV}: openvino crashes (signal 11)"])
    timed(monkeypatch, {FP32: ModelError("no kernel"), FP32_OV: 9})
    assert chosen(model) == (FP32_OV, [f"{FP32}: no kernel"])


def test_one_reason_for_all_is_told_once(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = BackendUnavailable("openvino is not usable here")
    timed(monkeypatch, {FP32: gone, FP32_OV: gone})
    with pytest.raises(BackendUnavailable, match=r"^openvino is not usable here$"):
        chosen(model)


def test_when_nothing_runs_every_reason_is_told(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, {FP32: BackendUnavailable("too old"), FP32_OV: BackendUnavailable("gone")})
    with pytest.raises(
        BackendUnavailable,
        match=rf"^no backend runs net\.onnx: {FP32}: too old; {FP32_OV}: gone$",
    ):
        chosen(model)
    timed(monkeypatch, {FP32: BackendUnavailable("too old"), FP32_OV: ModelError("no kernel")})
    with pytest.raises(ModelError, match=r"too old; .*no kernel"):
        chosen(model)
    timed(monkeypatch, {FP32: ModelError("no kernel")})
    with pytest.raises(ModelError, match=r"^no kernel$"):
        chosen(model, backend="onnxruntime")


def test_an_int8_file_named_itself_runs_as_it_is(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    int8 = make_int8(model)
    timed(monkeypatch, {INT8: 10, INT8_OV: 4})
    assert chosen(int8)[0] == INT8_OV
    with pytest.raises(ConfigError, match=r"net\.int8\.onnx is int8 itself"):
        chosen(int8, precision="fp32")
    with pytest.raises(ConfigError, match="no FP16 file"):
        chosen(model, precision="fp16")


def test_a_dla_needs_tensorrt(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"model\.dla: openvino runs on the CPU; use --backend t"):
        choice.open_network(model, ModelConfig(backend="openvino", dla=0), live=True)

    def refuses(model: ModelFile, options: BackendOptions) -> Backend:
        raise BackendUnavailable(f"no tensorrt here for dla {options.dla}")

    monkeypatch.setitem(opening.BACKENDS, "tensorrt", refuses)
    with pytest.raises(BackendUnavailable, match="no tensorrt here for dla 0"):
        choice.open_network(model, ModelConfig(dla=0), live=True)


class TestRealMeasurements:
    """With real runtimes and a real cache."""

    @pytest.fixture(autouse=True)
    def quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "package_version", package_version)
        monkeypatch.setattr(timing, "UNDISTURBED", 0.0)
        read = timing.measured_from_json  # what the other process says of a busy machine, too
        monkeypatch.setattr(openvino_trial, "measured_from_json", lambda told, **_: read(told))

    def test_auto_opens_what_it_chose(
        self, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        int8, cache = make_int8(model), tmp_path / "tuning.json"
        opened = choice.open_network(model, ModelConfig(), live=True, cache=cache)
        assert opened.backend.info.sha256 == opened.file.sha256
        assert opened.file.path in (model.path, int8.path)
        assert opened.backend.info.precision == opened.file.spec.precision
        assert (opened.tuning.threads, opened.backend.info.threads) == (1, 1)
        picture = {"image": np.full((1, 24, 32, 3), 255, np.uint8)}
        assert opened.backend.infer(picture)["person"].shape == (1, 1, 24, 32)
        opened.backend.close()
        entries = json.loads(cache.read_text())
        timed_files = {key.split(" | ")[0] for key in entries}
        assert timed_files == {model.sha256, int8.sha256}
        monkeypatch.delattr(tuning, "_measure")  # nothing is timed again
        again = choice.open_network(model, ModelConfig(), live=True, cache=cache)
        again.backend.close()
        assert (again.file, again.tuning) == (opened.file, opened.tuning)

    @pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_what_is_asked_for_runs(
        self, model: ModelFile, tmp_path: Path, backend: Any, precision: Any
    ) -> None:
        if package_version(backend) is None:
            pytest.skip(f"{backend} is not installed")
        make_int8(model)
        config = ModelConfig(backend=backend, precision=precision, threads=1, workers=2)
        opened = choice.open_network(model, config, live=False, cache=tmp_path / "t.json")
        assert (opened.backend.info.name, opened.backend.info.precision) == (backend, precision)
        assert (opened.tuning.threads, opened.tuning.workers) == (1, 2)
        opened.backend.close()
