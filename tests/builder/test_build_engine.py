"""Builds for TensorRT, with a TensorRT and a GPU that are made of host memory."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_driver import FakeDriver
from fake_tensorrt import RTX, FakeGpu, make_tensorrt
from tiny_onnx import tiny_model

from edgeseg.builder import BuildOptions, build_model
from edgeseg.config import BackendName
from edgeseg.cuda.driver import GpuInfo
from edgeseg.evaluate import DataChoice
from edgeseg.model_file import ModelFile, load_model, load_variant, without_metadata
from edgeseg.spec import Precision

GPU = FakeGpu(sm=(8, 7))
VERSIONS = ("8.6.1", "10.3.0", "11.4.0.106", RTX)


def open_fake(*_: object) -> FakeDriver:
    driver = FakeDriver()
    driver.gpu = GpuInfo(0, GPU.name, GPU.sm, GPU.memory, (12, 6))
    return driver


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Bright is person, in one picture by halves wrongly."""
    for name, bright in (("a", 32), ("b", 16), ("c", 48)):
        image, mask = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
        image[:, :bright], mask[:, :32] = 255, 1
        for kind, pixels in (("images", image), ("masks", mask)):
            (tmp_path / "people" / kind).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(tmp_path / "people" / kind / f"{name}.png"), pixels)
    return tmp_path / "people"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """A model, on a machine with a GPU."""
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setattr("edgeseg.builder.speed.BUDGET_S", 0.1)
    monkeypatch.setattr("edgeseg.cuda.open_driver", open_fake)
    monkeypatch.setattr("edgeseg.cuda.opening.choose_gpu", lambda number: open_fake().gpu)
    import edgeseg.backends.trt

    monkeypatch.setattr(edgeseg.backends.trt, "open_driver", open_fake)
    return load_model(tiny_model(tmp_path / "tiny.onnx"))


def options(version: str, precision: Precision, people: Path) -> BuildOptions:
    backend: BackendName = "tensorrt-rtx" if version == RTX else "tensorrt"
    return BuildOptions(
        precision,
        backend=backend,
        data=DataChoice(people),
        calibration=people if precision == "int8" else None,
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_is_built_and_judged(
    monkeypatch: pytest.MonkeyPatch,
    model: ModelFile,
    people: Path,
    version: str,
    precision: Precision,
) -> None:
    module = make_tensorrt(version, GPU)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    outcome = build_model(model, options(version, precision, people))
    assert not outcome.problem
    report = outcome.report
    (engine,) = report["engines"]
    assert Path(engine["path"]).is_file()
    assert engine["precision"] == precision
    assert engine["sm"] == "sm_87"
    assert report["gate"]["passed"] is True
    assert report["gate"]["scores"][precision]["person IoU"] > 0.5
    variants = {"fp32": (), "fp16": ("fp16",), "int8": ("int8-trt", "int8-trt16")}[precision]
    assert tuple(outcome.files) == variants
    for variant in outcome.files:
        found = load_variant(model, variant)
        assert found is not None
        assert found.spec.build is not None
        assert found.spec.build.gate["passed"] is True
    if engine["variant"] != "fp32" and precision != "fp32":
        used = load_variant(model, engine["variant"])
        assert used is not None
        graph = hashlib.sha256(without_metadata(used.data)).hexdigest()
        assert engine["origin"] == graph, "the engine is of the file that was kept"
        assert not engine["built"], "it was built when it was compared"
