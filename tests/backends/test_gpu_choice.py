"""``auto`` on a machine with a GPU, played by ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from tiny_onnx import tiny_model

from edgeseg.backends import choice, gpu_choice, open_network, opening
from edgeseg.backends.choice import Opened
from edgeseg.backends.options import BackendOptions
from edgeseg.config import ModelConfig
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
