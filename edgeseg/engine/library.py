"""Importing TensorRT or TensorRT-RTX, and saying in one line why that fails.

Importing needs no GPU. Anything more does: without a driver TensorRT 11's Runtime ends the process
(measured), so nothing is constructed to find out whether it works.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from edgeseg.errors import BackendUnavailable
from edgeseg.spec import one_line

MODULES = {"tensorrt": ("tensorrt",), "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}
"""Python modules by the name users know; the second of RTX is the bindings package alone."""
LIBRARY_FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib", "/usr/local/lib", "/usr/lib64")
SYSTEM_PACKAGES = "/usr/lib/python3*/dist-packages/tensorrt"
"""Where JetPack puts TensorRT's Python module."""
FLOOR = "IExecutionContext.execute_async_v3"
"""What edgeseg runs engines with; TensorRT has it since 8.5."""
INSTALL = {
    "tensorrt": "pip install 'edgeseg[tensorrt]' (on a Jetson: sudo apt install nvidia-jetpack)",
    "tensorrt-rtx": "pip install 'edgeseg[rtx]'",
}


@dataclass(frozen=True, slots=True)
class Library:
    """An imported TensorRT. name: ``tensorrt`` or ``tensorrt-rtx``. version: "10.3.0"."""

    trt: Any
    name: str
    version: str

    @property
    def rtx(self) -> bool:
        """Whether this is TensorRT-RTX."""
        return self.name == "tensorrt-rtx"

    @property
    def title(self) -> str:
        """``TensorRT 10.3.0``."""
        return f"{'TensorRT-RTX' if self.rtx else 'TensorRT'} {self.version}"

    def find(self, path: str) -> Any:
        """Returns ``BuilderFlag.FP16`` or ``Builder`` of this version, None where it lacks it."""
        found = self.trt
        for name in path.split("."):
            found = getattr(found, name, None)
        return found

    def has(self, path: str) -> bool:
        """Says whether this version has ``Class.member``."""
        return self.find(path) is not None


def load_library(name: str) -> Library:
    """Imports ``tensorrt`` or ``tensorrt-rtx``.

    Raises BackendUnavailable when it is not installed, its libraries are missing or of another
    version, or it is older than 8.5; the line says what to install.
    """
    try:
        module = _import_first(MODULES[name])
    except (ImportError, OSError, TypeError) as error:
        raise BackendUnavailable(explain(name, error)) from error
    library = Library(module, name, str(getattr(module, "__version__", "unknown")))
    if not library.has(FLOOR):
        raise BackendUnavailable(
            f"{library.title} is too old: edgeseg needs TensorRT 8.5 (JetPack 5) or newer; "
            f"{INSTALL[name]}"
        )
    return library


def _import_first(modules: tuple[str, ...]) -> Any:
    """Imports the first module that is installed; one that is but fails is not passed over."""
    for module in modules[:-1]:
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    return import_module(modules[-1])


def explain(name: str, error: Exception) -> str:
    """Returns one line that says why TensorRT does not import, and what to do."""
    title = "TensorRT-RTX" if name == "tensorrt-rtx" else "TensorRT"
    if isinstance(error, ModuleNotFoundError) and error.name in MODULES[name]:
        system = sorted(glob.glob(SYSTEM_PACKAGES)) if name == "tensorrt" else []
        if system:
            folder = Path(system[-1]).parent
            return (
                f"{title} lies in {folder}, which this Python environment does not see; make it "
                "with: python3 -m venv --system-site-packages"
            )
        return f"{title} is not installed: {INSTALL[name]}"
    missing = re.search(r"lib(nv\w+|tensorrt\w*)\.so\.(\d+)", str(error))
    if not missing:
        return f"{title} does not import: {one_line(error)}; {INSTALL[name]}"
    others = installed_majors()
    found = f"; this machine has version {', '.join(others)}" if others else ""
    return (
        f"the Python package of {title} wants {missing.group(0)}, which is not here{found}: "
        f"install the package and the libraries of one version: {INSTALL[name]}"
    )


def installed_majors() -> list[str]:
    """Returns the major versions of libnvinfer in the system's library folders: ["8", "10"]."""
    files = [f for folder in LIBRARY_FOLDERS for f in glob.glob(f"{folder}/libnvinfer.so.*")]
    majors = {Path(file).name.removeprefix("libnvinfer.so.").partition(".")[0] for file in files}
    return sorted((major for major in majors if major.isdigit()), key=int)
