"""From "cannot open shared object file" to the system package that brings the file."""

from __future__ import annotations

import importlib
import re
import sys

APT_PACKAGES = {
    "libGL.so": "libgl1",
    "libEGL.so": "libegl1",
    "libGLX.so": "libglx0",
    "libOpenGL.so": "libopengl0",
    "libgthread-2.0.so": "libglib2.0-0",
    "libglib-2.0.so": "libglib2.0-0",
    "libgobject-2.0.so": "libglib2.0-0",
    "libSM.so": "libsm6",
    "libICE.so": "libice6",
    "libX11.so": "libx11-6",
    "libX11-xcb.so": "libx11-xcb1",
    "libXext.so": "libxext6",
    "libXrender.so": "libxrender1",
    "libxcb.so": "libxcb1",
    "libxcb-cursor.so": "libxcb-cursor0",
    "libxcb-icccm.so": "libxcb-icccm4",
    "libxcb-image.so": "libxcb-image0",
    "libxcb-keysyms.so": "libxcb-keysyms1",
    "libxcb-randr.so": "libxcb-randr0",
    "libxcb-render-util.so": "libxcb-render-util0",
    "libxcb-render.so": "libxcb-render0",
    "libxcb-shape.so": "libxcb-shape0",
    "libxcb-shm.so": "libxcb-shm0",
    "libxcb-sync.so": "libxcb-sync1",
    "libxcb-util.so": "libxcb-util1",
    "libxcb-xfixes.so": "libxcb-xfixes0",
    "libxcb-xinerama.so": "libxcb-xinerama0",
    "libxcb-xkb.so": "libxcb-xkb1",
    "libxkbcommon.so": "libxkbcommon0",
    "libxkbcommon-x11.so": "libxkbcommon-x11-0",
    "libfontconfig.so": "libfontconfig1",
    "libfreetype.so": "libfreetype6",
    "libdbus-1.so": "libdbus-1-3",
    "libz.so": "zlib1g",
    "libgomp.so": "libgomp1",
    "libatomic.so": "libatomic1",
    "libstdc++.so": "libstdc++6",
}
"""Debian and Ubuntu packages by library name up to ``.so``."""

HEADLESS_HINT = (
    " (or, on a machine without windows: pip uninstall opencv-python; "
    "pip install opencv-python-headless)"
)
OPENCV_PACKAGES = ("libgl1", "libglib2.0-0", "libsm6", "libxext6")
"""What opencv-python needs on a bare Debian 12: the first two to load, all to show a window."""
_BROUGHT_ALONG = (*OPENCV_PACKAGES, "libegl1", "libx11-6", "libxcb1", "libice6")

PIP_PACKAGES = {
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "av": "av",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "pydantic": "pydantic",
    "typer": "typer",
    "rich": "rich",
    "psutil": "psutil",
    "torch": "torch",
    "onnx": "onnx",
    "matplotlib": "matplotlib",
}

_MISSING_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so)(?:\.[\d.]+)?: cannot open shared object file")


def explain_import_error(error: ImportError) -> str | None:
    """Returns one line that says what to install for an import that failed, None if unknown."""
    found = _MISSING_LIBRARY.search(str(error))
    if found:
        library = found.group(0).partition(":")[0]
        package = APT_PACKAGES.get(found.group(1))
        if package:
            opencv = package in _BROUGHT_ALONG
            packages = " ".join(OPENCV_PACKAGES) if opencv else package
            return (
                f"the system library {library} is missing: sudo apt-get install {packages}"
                f"{HEADLESS_HINT if opencv else ''}"
            )
        return (
            f"the system library {library} is missing; find its package with: apt-file search "
            f"{library}"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = PIP_PACKAGES.get(error.name.partition(".")[0])
        return (
            f"the Python package {package} is missing: pip install {package}" if package else None
        )
    return None


def main() -> None:
    """Exits 0 when OpenCV loads, else says in one line what is missing and exits 2."""
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        sys.stderr.write(f"edgeseg: {explain_import_error(error) or error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
