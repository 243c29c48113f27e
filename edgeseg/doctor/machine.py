"""The machine itself: system, processor, memory, packages edgeseg cannot do without, cameras."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from edgeseg import device
from edgeseg.doctor.finding import Finding

_REQUIRED = {
    "numpy": "numpy",
    "opencv-python": "cv2",
    "av": "av",
    "onnxruntime": "onnxruntime",
    "pyyaml": "yaml",
    "pydantic": "pydantic",
    "typer": "typer",
    "rich": "rich",
    "psutil": "psutil",
}
_FEATURES = {
    "avx2": "AVX2",
    "f16c": "F16C",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512-VNNI (fast int8)",
    "avx_vnni": "AVX-VNNI (fast int8)",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "neon": "NEON",
    "asimddp": "NEON dot product (fast int8)",
    "asimdhp": "NEON half precision",
    "i8mm": "NEON int8 matrix",
    "sve": "SVE",
}


def system() -> Iterator[Finding]:
    """Says what runs edgeseg: Python, system, processor, cores, memory."""
    group, version = "system", platform.python_version()
    old = sys.version_info < (3, 10)
    yield Finding(
        group,
        "Python",
        "missing" if old else "ok",
        f"{version} ({sys.executable})",
        "edgeseg needs Python 3.10 or newer" if old else "",
    )
    yield Finding(group, "system", "ok", platform.platform())
    flags = device.cpu_flags()
    features = list(dict.fromkeys(label for flag, label in _FEATURES.items() if flag in flags))
    yield Finding(group, "processor", "ok", ", ".join([device.cpu_name(), *features]))
    cores, all_cores, quota = device.available_cores(), os.cpu_count(), device.cgroup_quota()
    limit = "" if quota is None else f", limited to {quota:.3g} by a container quota"
    yield Finding(group, "cores", "ok", f"{cores} of {all_cores}{limit}")
    memory = device.memory_gib()
    yield Finding(group, "memory", "ok", "unknown" if memory is None else f"{memory} GiB")


def packages() -> Iterator[Finding]:
    """Looks for the packages edgeseg cannot do without."""
    for name, module in _REQUIRED.items():
        version = device.package_version(name)
        if version is None and find_spec(module) is not None:
            version = "installed, but not by pip"  # a Jetson's own OpenCV
        if version is None:
            yield Finding("packages", name, "missing", "not installed", f"pip install {name}")
        else:
            yield Finding("packages", name, "ok", version)


def cameras() -> Iterator[Finding]:
    """Looks for cameras, and whether this user may open them."""
    if sys.platform != "linux":
        yield Finding("cameras", "cameras", "note", "not looked for here; try: edgeseg run 0")
        return
    nodes = sorted(Path("/dev").glob("video*"))
    if not nodes:
        mend = "plug one in; in a container pass --device /dev/video0"
        yield Finding("cameras", "cameras", "note", "none found (/dev/video*)", mend)
    for node in nodes:
        name_file = Path("/sys/class/video4linux") / node.name / "name"
        name = name_file.read_text(encoding="utf-8").strip() if name_file.is_file() else "camera"
        if os.access(node, os.R_OK | os.W_OK):
            yield Finding("cameras", str(node), "ok", name)
        else:
            mend = "sudo usermod -aG video $USER, then log in again"
            yield Finding("cameras", str(node), "missing", f"{name}: no permission", mend)
