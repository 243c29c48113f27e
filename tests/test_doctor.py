from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

from edgeseg import device
from edgeseg.doctor import Finding, examine, finding, machine, models
from edgeseg.doctor.pictures import has_display, opencv_feature


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(models, "RUN_S", 0.05)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def named(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_it_finds_what_is_here_and_runs_the_default_model() -> None:
    findings = examine()
    assert {f.group for f in findings} >= {"system", "packages", "OpenCV", "video files", "models"}
    for name in ("Python", "numpy", "av", "ONNX Runtime", "shipped", "portrait"):
        assert named(findings, name).status == "ok", named(findings, name)
    assert "H.264" in named(findings, "writes").detail
    ran = named(findings, "portrait").detail
    assert any(f"ms a 720p picture on {name} cpu" in ran for name in ("onnxruntime", "openvino"))


def test_whatever_is_wrong_says_what_to_do() -> None:
    for found in examine():
        if found.status != "ok":
            assert found.mend or found.name == "cameras"
        assert "\n" not in found.detail + found.mend


def refusing(module: str, error: ImportError) -> Callable[..., ModuleType]:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> ModuleType:
        if name.partition(".")[0] == module:
            raise error
        return real(name, *rest, **options)

    return refuse


@pytest.mark.parametrize(
    ("module", "group", "error", "detail", "mend"),
    [
        (
            "cv2",
            "OpenCV",
            ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
            "the system library libGL.so.1 is missing",
            "sudo apt-get install libgl1",
        ),
        (
            "av",
            "video files",
            ModuleNotFoundError("No module named 'av'", name="av"),
            "the Python package av is missing",
            "pip install av",
        ),
        (
            "onnxruntime",
            "inference",
            ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime"),
            "the Python package onnxruntime is missing",
            "pip install onnxruntime",
        ),
        (
            "onnxruntime",
            "inference",
            ImportError("DLL load failed while importing"),
            "DLL load failed while importing",
            "",
        ),
    ],
)
def test_a_package_that_does_not_import_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    group: str,
    error: ImportError,
    detail: str,
    mend: str,
) -> None:
    def load(name: str) -> ModuleType:
        if name == module:
            raise error
        return importlib.import_module(name)

    monkeypatch.setattr(finding, "import_module", load)
    monkeypatch.setattr(builtins, "__import__", refusing(module, error))
    found = next(f for f in examine() if f.group == group and f.name == module)
    assert found.status == "missing"
    assert found.detail == detail
    assert found.mend.startswith(mend)


def test_a_package_that_is_not_installed_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"av": None, "opencv-python": None}
    real, found = device.package_version, find_spec
    monkeypatch.setattr(
        device, "package_version", lambda name: None if name in versions else real(name)
    )
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "av" else found(name))
    findings = list(machine.packages())
    assert named(findings, "av") == Finding(
        "packages", "av", "missing", "not installed", "pip install av"
    )
    assert named(findings, "opencv-python").detail == "installed, but not by pip"


def test_no_shipped_model_and_a_broken_one_are_findings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from edgeseg.model_file import find

    monkeypatch.setattr(find, "engines_dir", lambda: tmp_path)
    assert named(examine(), "shipped").detail == "no model files"
    (tmp_path / "portrait.onnx").write_bytes(b"broken")
    broken = next(f for f in examine() if f.group == "models" and f.status == "missing")
    assert "not an ONNX model, or damaged" in broken.detail


BUILD = """
  GUI:                           QT5
    QT:                          YES (ver 5.15.19 )

  Video I/O:
    FFMPEG:                      YES
    GStreamer:                   YES (1.20.3)
"""


def test_opencv_s_build_information_is_read() -> None:
    assert opencv_feature(BUILD, "GUI") == "QT5"
    assert opencv_feature(BUILD, "GStreamer") == "YES (1.20.3)"
    assert opencv_feature(BUILD, "Video I/O") == ""
    assert opencv_feature(BUILD, "Orbbec") == ""


@pytest.mark.skipif("sys.platform != 'linux'", reason="the display is a Linux question")
def test_a_display_is_x_or_wayland(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()
