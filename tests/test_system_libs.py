from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgeseg
from edgeseg.system_libs import OPENCV_PACKAGES, explain_import_error


@pytest.mark.parametrize(
    ("text", "library", "package", "opencv"),
    [
        ("libGL.so.1", "libGL.so.1", "libgl1", True),
        ("libgthread-2.0.so.0", "libgthread-2.0.so.0", "libglib2.0-0", True),
        ("libxcb.so.1", "libxcb.so.1", "libxcb1", True),
        ("libxcb-cursor.so.0", "libxcb-cursor.so.0", "libxcb-cursor0", False),
        ("libSM.so.6", "libSM.so.6", "libsm6", True),
        ("libgomp.so.1", "libgomp.so.1", "libgomp1", False),
        ("libstdc++.so.6", "libstdc++.so.6", "libstdc++6", False),
    ],
)
def test_a_missing_library_names_its_package(
    text: str, library: str, package: str, opencv: bool
) -> None:
    error = ImportError(f"{text}: cannot open shared object file: No such file or directory")
    line = explain_import_error(error)
    assert line is not None
    packages = " ".join(OPENCV_PACKAGES) if opencv else package
    start = f"the system library {library} is missing: sudo apt-get install {packages}"
    assert line.startswith(start)
    assert ("opencv-python-headless" in line) == opencv
    assert "\n" not in line


def test_an_unknown_library_says_how_to_find_it() -> None:
    error = ImportError("libodd.so.3: cannot open shared object file: No such file or directory")
    assert explain_import_error(error) == (
        "the system library libodd.so.3 is missing; find its package with: "
        "apt-file search libodd.so.3"
    )


def test_a_missing_python_package_names_its_pip_name() -> None:
    error = ModuleNotFoundError("No module named 'cv2'", name="cv2")
    assert explain_import_error(error) == (
        "the Python package opencv-python is missing: pip install opencv-python"
    )
    error = ModuleNotFoundError("No module named 'yaml.x'", name="yaml.x")
    assert explain_import_error(error) == "the Python package pyyaml is missing: pip install pyyaml"


def test_anything_else_is_left_to_others() -> None:
    assert explain_import_error(ImportError("cannot import name 'x' from 'y'")) is None
    assert explain_import_error(ModuleNotFoundError("No module named 'q'", name="q")) is None
    assert explain_import_error(ModuleNotFoundError("odd")) is None


def test_run_as_a_module_it_checks_opencv() -> None:
    command = [sys.executable, "-m", "edgeseg.system_libs"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_run_as_a_module_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    root = str(Path(edgeseg.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-m", "edgeseg.system_libs"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "sudo apt-get install libgl1" in run.stderr
