from __future__ import annotations

import pytest

from edgeseg.system_libs import explain_import_error


@pytest.mark.parametrize(
    ("text", "library", "package", "headless"),
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
    text: str, library: str, package: str, headless: bool
) -> None:
    error = ImportError(f"{text}: cannot open shared object file: No such file or directory")
    line = explain_import_error(error)
    assert line is not None
    start = f"the system library {library} is missing: sudo apt install {package}"
    assert line.startswith(start)
    assert ("opencv-python-headless" in line) == headless
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
