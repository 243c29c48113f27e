"""Importing TensorRT: what is said where it cannot be."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
from engine_kit import EVERY, install
from fake_tensorrt import RTX

from edgeseg.engine import library
from edgeseg.engine.library import explain, installed_majors, load_library
from edgeseg.errors import BackendUnavailable


@pytest.mark.parametrize("version", EVERY)
def test_every_version_from_8_5_on_is_taken(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    install(monkeypatch, version)
    name = "tensorrt-rtx" if version == RTX else "tensorrt"
    loaded = load_library(name)
    assert (loaded.name, loaded.version) == (name, version.removeprefix("rtx-"))
    assert loaded.title.split()[-1] == loaded.version
    assert loaded.has("BuilderFlag.FP16") == (version[:2] in ("8.", "10"))
    assert loaded.find("Builder.nothing.of.the.kind") is None


def test_an_older_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = install(monkeypatch, "8.6.1")
    del module.IExecutionContext.execute_async_v3  # what 8.4 lacks
    module.__version__ = "8.4.1"  # type: ignore[attr-defined]
    with pytest.raises(BackendUnavailable, match=r"TensorRT 8\.4\.1 is too old: .* 8\.5"):
        load_library("tensorrt")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_what_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in library.MODULES[name]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(library, "SYSTEM_PACKAGES", "/nowhere/*")
    extra = "rtx" if name == "tensorrt-rtx" else "tensorrt"
    with pytest.raises(BackendUnavailable, match=rf"is not installed: .*edgeseg\[{extra}\]"):
        load_library(name)


def test_a_package_without_its_libraries_names_both_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libnvinfer.so.8").touch()
    (tmp_path / "libnvinfer.so.8.6.2").touch()
    monkeypatch.setattr(library, "LIBRARY_FOLDERS", (str(tmp_path),))

    def fail(name: str) -> ModuleType:
        raise ImportError(
            "libnvinfer.so.10: cannot open shared object file: No such file or directory"
        )

    monkeypatch.setattr(library, "import_module", fail)
    assert installed_majors() == ["8"]
    with pytest.raises(BackendUnavailable) as raised:
        load_library("tensorrt")
    said = str(raised.value)
    assert "wants libnvinfer.so.10, which is not here; this machine has version 8: install" in said


def test_a_jetson_s_package_outside_the_environment_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "python3.10" / "dist-packages" / "tensorrt"
    place.mkdir(parents=True)
    monkeypatch.setattr(
        library, "SYSTEM_PACKAGES", str(tmp_path / "python3*/dist-packages/tensorrt")
    )
    error = ModuleNotFoundError("No module named 'tensorrt'", name="tensorrt")
    said = explain("tensorrt", error)
    assert said.startswith(f"TensorRT lies in {place.parent}, which this Python environment does")
    assert said.endswith("python3 -m venv --system-site-packages")


def test_any_other_failure_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise TypeError("factory function returned nullptr")

    monkeypatch.setattr(library, "import_module", fail)
    with pytest.raises(BackendUnavailable, match="does not import: factory function returned null"):
        load_library("tensorrt")


def test_rtx_comes_under_either_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    module = install(monkeypatch, RTX)
    monkeypatch.delitem(sys.modules, "tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_bindings", module)
    real = importlib.import_module

    def load(name: str) -> ModuleType:
        if name == "tensorrt_rtx":
            raise ModuleNotFoundError("No module named 'tensorrt_rtx'", name="tensorrt_rtx")
        return real(name)

    monkeypatch.setattr(library, "import_module", load)
    assert load_library("tensorrt-rtx").trt is module


def test_a_frontend_that_lacks_its_own_parts_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'x'", name="x")

    monkeypatch.setattr(library, "import_module", load)
    with pytest.raises(BackendUnavailable, match="TensorRT-RTX does not import: No module named"):
        load_library("tensorrt-rtx")
