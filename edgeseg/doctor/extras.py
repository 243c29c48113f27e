"""Optional packages, and the folder for what is built here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgeseg import device
from edgeseg.doctor.finding import Finding
from edgeseg.engine.cache import engines_folder
from edgeseg.errors import ConfigError

EXTRAS = (
    ("onnx", "build", "FP16 and INT8 files and engines cannot be made from a model"),
    ("pycocotools", "eval", "edgeseg eval gives no COCO AP of object masks"),
)
"""Package, extra of edgeseg's that brings it, and what does not work without it."""


def extras() -> Iterator[Finding]:
    """Looks at what building and scoring need, and where engines are kept."""
    for package, extra, without in EXTRAS:
        version = device.package_version(package)
        if version is not None:
            yield Finding("extras", package, "ok", version)
        else:
            mend = f"pip install 'edgeseg[{extra}]'"
            yield Finding("extras", package, "note", f"not installed: {without}", mend)
    yield engines()


def engines() -> Finding:
    """Says how many engines are kept where, and whether more can be."""
    try:
        folder = engines_folder()
    except ConfigError as error:
        detail, _, mend = str(error).rpartition(": ")
        return Finding("extras", "engine cache", "note", detail, mend)
    if not writable(folder):
        mend = "make it writable, or set XDG_CACHE_HOME to a folder that is"
        return Finding("extras", "engine cache", "note", f"{folder} cannot be written", mend)
    built = list(folder.glob("*.engine")) if folder.is_dir() else []
    size = sum(path.stat().st_size for path in built) / 1e6
    kept = f": {len(built)} engine(s), {size:.0f} MB" if built else ""
    return Finding("extras", "engine cache", "ok", f"{folder}{kept}")


def writable(folder: Path) -> bool:
    """Says whether a folder, or the nearest one above it that exists, takes new files."""
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
