"""``auto`` on a machine with a GPU, played by ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from engine_kit import driver_of, install
from tiny_onnx import tiny_model

from edgeseg.backends import choice, gpu_choice, open_network, opening, ort_session
from edgeseg.backends.choice import Opened
from edgeseg.backends.options import BackendOptions
from edgeseg.config import ModelConfig
from edgeseg.cuda import opening as opening_of_gpus
from edgeseg.cuda.driver import GpuInfo
from edgeseg.cuda.libcuda import Probe
from edgeseg.engine.build import ensure_engine
from edgeseg.engine.request import EngineRequest
from edgeseg.errors import BackendUnavailable
from edgeseg.model_file import ModelFile, load_model, variant_path
from edgeseg.protocols import Backend
from edgeseg.spec import Build


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "net.onnx"))


def refuse(reason: str) -> opening.Open:
    def opener(model: ModelFile, options: BackendOptions) -> Backend:
        raise BackendUnavailable(reason)

    return opener


@pytest.fixture
def opened_with(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, BackendOptions]]:
    seen: list[tuple[str, BackendOptions]] = []

    def plays(name: str) -> opening.Open:
        def opener(model: ModelFile, options: BackendOptions) -> Backend:
            seen.append((name, options))
            return cpu(model, BackendOptions())

        return opener

    cpu = opening.BACKENDS["onnxruntime"]
    monkeypatch.setattr(choice, "usable_gpu_backends", lambda: ["tensorrt", "onnxruntime-cuda"])
    monkeypatch.setattr(choice, "engine_to_build", lambda model, config: "")
    for name in ("tensorrt", "onnxruntime-cuda"):
        monkeypatch.setitem(opening.BACKENDS, name, plays(name))
    return seen


def opened(model: ModelFile, **config: Any) -> Opened:
    return open_network(model, ModelConfig(**config), live=True)


def test_a_gpu_goes_first_and_is_timed(
    model: ModelFile, opened_with: list[tuple[str, BackendOptions]]
) -> None:
    found = opened(model, gpu=1, cuda="pycuda", rebuild=False)
    ((name, options),) = opened_with
    assert name == "tensorrt"
    assert options == BackendOptions(
        threads=1, workers=2, precision="fp32", gpu=1, cuda="pycuda", rebuild=False
    )
    assert 0 < found.tuning.network_ms < 1000
    assert (found.tuning.threads, found.tuning.workers) == (1, 2)


def test_fp16_where_it_was_found_accurate(
    model: ModelFile, opened_with: list[tuple[str, BackendOptions]]
) -> None:
    for passed, expected in ((False, "fp32"), (True, "fp16")):
        build = Build(variant="fp16", source_sha256=model.sha256, gate={"passed": passed})
        path = variant_path(model, "fp16", model.path.parent)
        tiny_model(path, precision="fp16", build=build)
        opened(model)
        assert opened_with[-1][1].precision == expected
    for timed, expected in (("tensorrt", "fp32"), ("onnxruntime 1.31.1", "fp16")):
        gate: dict[str, Any] = {"passed": True, "faster": False, "speed": {"backend": timed}}
        tiny_model(
            variant_path(model, "fp16", model.path.parent),
            precision="fp16",
            build=Build(variant="fp16", source_sha256=model.sha256, gate=gate),
        )
        opened(model)
        assert opened_with[-1][1].precision == expected
    variant_path(model, "fp16", model.path.parent).write_bytes(b"junk")
    opened(model)
    assert opened_with[-1][1].precision == "fp32"
    opened(model, precision="int8", workers=3)
    assert (opened_with[-1][1].precision, opened_with[-1][1].workers) == ("int8", 3)


def test_what_does_not_open_is_told_and_the_next_is_tried(
    model: ModelFile,
    opened_with: list[tuple[str, BackendOptions]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(opening.BACKENDS, "tensorrt", refuse("too old"))
    with caplog.at_level(logging.WARNING):
        found = opened(model)
    assert [name for name, _ in opened_with] == ["onnxruntime-cuda"]
    assert found.remarks == ("tensorrt: too old",)
    assert "tensorrt does not run tiny: too old" in caplog.text
    monkeypatch.setitem(opening.BACKENDS, "onnxruntime-cuda", refuse("no cuDNN"))
    found = opened(model)
    assert found.backend.info.device == "cpu"
    assert found.remarks[:2] == ("tensorrt: too old", "onnxruntime-cuda: no cuDNN")


def test_no_engine_is_built_unasked(
    model: ModelFile,
    opened_with: list[tuple[str, BackendOptions]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    install(monkeypatch, "10.3.0", sm=(8, 7))
    gpu = GpuInfo(0, "Orin", (8, 7), 8 << 30, (12, 6))
    monkeypatch.setattr(choice, "engine_to_build", gpu_choice.engine_to_build)
    monkeypatch.setattr(opening_of_gpus, "probe", lambda: Probe((gpu,)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = f"edgeseg build --model {model.path} --precision fp16 --backend tensorrt"
    found = opened(model)
    assert [name for name, _ in opened_with] == ["onnxruntime-cuda"]
    assert found.remarks == (f"tensorrt: its engine is not built yet: {command}",)
    assert f"TensorRT would run tiny faster once built: {command}" in caplog.text
    caplog.clear()
    ensure_engine(model, EngineRequest(precision="fp32"), driver=driver_of(sm=(8, 7)))
    assert opened(model).remarks == ()
    assert opened_with[-1][0] == "tensorrt"
    assert "TensorRT would" not in caplog.text
    install(monkeypatch, "10.13.3.9", sm=(8, 7))  # an update: that engine no longer fits
    build = Build(variant="fp16", source_sha256=model.sha256, gate={"passed": False})
    tiny_model(variant_path(model, "fp16", model.path.parent), precision="fp16", build=build)
    (remark,) = opened(model).remarks
    assert opened_with[-1][0] == "onnxruntime-cuda"
    assert "--precision fp32" in remark


def test_fp32_for_want_of_an_fp16_file_is_told(
    model: ModelFile,
    opened_with: list[tuple[str, BackendOptions]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened(model, backend="tensorrt", precision="fp32")
    opened(model)
    assert "FP16" not in caplog.text
    opened(model, backend="tensorrt", gpu=1)
    command = f"edgeseg build --model {model.path} --precision fp16 --backend tensorrt --gpu 1"
    assert f"runs in FP32; FP16 is faster: {command}" in caplog.text
    assert [options.precision for _, options in opened_with] == ["fp32"] * 3


def test_a_tensorrt_that_cannot_run_it_is_no_hint_to_build(
    model: ModelFile,
    opened_with: list[tuple[str, BackendOptions]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, "11.4.0.106", sm=(7, 0))
    gpu = GpuInfo(0, "Tesla V100", (7, 0), 8 << 30, (13, 0))
    monkeypatch.setattr(choice, "engine_to_build", gpu_choice.engine_to_build)
    monkeypatch.setattr(opening_of_gpus, "probe", lambda: Probe((gpu,)))
    (remark,) = opened(model).remarks
    assert remark.startswith("tensorrt: Tesla V100 (sm_70) is too old for TensorRT 11.4.0.106")


def test_one_asked_for_is_not_replaced(
    model: ModelFile,
    opened_with: list[tuple[str, BackendOptions]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(opening.BACKENDS, "tensorrt", refuse("too old"))
    with pytest.raises(BackendUnavailable, match=r"^too old$"):
        opened(model, backend="tensorrt")
    opened(model, backend="onnxruntime-cuda")
    assert [name for name, _ in opened_with] == ["onnxruntime-cuda"]


def test_asked_for_cpu_no_gpu_is_touched(
    model: ModelFile, opened_with: list[tuple[str, BackendOptions]]
) -> None:
    opened(model, backend="onnxruntime")
    assert opened_with == []


def test_gpu_backends_need_a_gpu_and_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"tensorrt": lambda: True, "onnxruntime-cuda": lambda: False}
    monkeypatch.setattr(gpu_choice, "_INSTALLED", installed)
    assert gpu_choice.usable_gpu_backends() == []
    monkeypatch.setattr(gpu_choice, "has_gpu", lambda: True)
    assert gpu_choice.usable_gpu_backends() == ["tensorrt"]


def test_a_folder_of_that_name_is_no_tensorrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not gpu_choice._tensorrt_installed()
    (tmp_path / "tensorrt" / "__init__.py").write_text("")
    assert gpu_choice._tensorrt_installed()


def test_this_build_of_onnxruntime_has_cuda_or_not() -> None:
    import onnxruntime

    expected = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert gpu_choice._ort_has_cuda() is expected


def test_two_builds_that_overwrote_one_another_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for module in (gpu_choice, ort_session):
        monkeypatch.setattr(module, "package_version", lambda name: "1.31.1")
    assert not gpu_choice._ort_has_cuda()
    assert "both installed and overwrote one another: pip uninstall -y" in caplog.text
    with pytest.raises(BackendUnavailable, match="overwrote one another"):
        ort_session.check_available(onnxruntime, [ort_session.Provider("CUDAExecutionProvider")])
