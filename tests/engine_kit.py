"""A fake TensorRT and a GPU in host memory for tests of engines."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fake_driver import FakeDriver
from fake_tensorrt import RTX, VERSIONS, FakeGpu, make_tensorrt
from tiny_onnx import tiny_model

from edgeseg.cuda.driver import GpuInfo
from edgeseg.engine.request import EngineRequest
from edgeseg.model_file import ModelFile, load_model

EVERY = (*VERSIONS, RTX)


def install(
    patch: pytest.MonkeyPatch, version: str, *, faults: tuple[str, ...] = (), **gpu: Any
) -> ModuleType:
    """Makes ``import tensorrt`` (or ``tensorrt_rtx``) give a fake of this version."""
    module = make_tensorrt(version, FakeGpu(**gpu), faults=faults)
    patch.setitem(sys.modules, module.__name__, module)
    return module


def driver_of(**gpu: Any) -> FakeDriver:
    """A driver of the GPU that ``install`` describes with the same arguments."""
    shown = FakeGpu(**gpu)
    driver = FakeDriver()
    driver.gpu = GpuInfo(0, shown.name, shown.sm, shown.memory, (12, 6))
    return driver


def request_of(version: str, folder: Path, **options: Any) -> EngineRequest:
    """A request for a fake's TensorRT, engines kept in a folder of the test."""
    values: dict[str, Any] = {"precision": "fp32", "rtx": version == RTX, **options}
    return EngineRequest(folder=folder / "engines", **values)


def tiny(folder: Path, **changes: Any) -> ModelFile:
    """A network whose answer is known: a bright pixel is a person."""
    return load_model(tiny_model(folder / "tiny.onnx", **changes))
