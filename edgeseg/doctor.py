"""What works on this machine, and the command that mends what does not.

Every look at a package is guarded: this must run on half an installation, that is what it is for.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal

from edgeseg import device
from edgeseg.errors import EdgesegError
from edgeseg.meter import NoTimer
from edgeseg.system_libs import explain_import_error

Status = Literal["ok", "note", "missing"]

RUN_S = 1.0
"""How long the default model is run."""

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
_ENCODERS = {
    "libx264": "H.264",
    "libx265": "HEVC",
    "libvpx-vp9": "VP9",
    "libsvtav1": "AV1",
}
_DECODERS = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1", "mjpeg": "MJPEG"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. note: works without it, but less. mend: what to do, "" = nothing."""

    group: str
    name: str
    status: Status
    detail: str
    mend: str = ""


def examine() -> list[Finding]:
    """Looks at everything and returns what was found, in the order to show it."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _system,
        _packages,
        _opencv,
        _codecs,
        _cameras,
        _inference,
        _models,
    )
    found = []
    for look in looks:
        try:
            found += list(look())
        except (ImportError, OSError, EdgesegError) as error:
            found.append(_failed(look.__name__.strip("_"), error))
    return found


def _failed(what: str, error: Exception) -> Finding:
    explained = explain_import_error(error) if isinstance(error, ImportError) else None
    line, _, mend = (explained or str(error)).partition(": ") if explained else (str(error), "", "")
    return Finding(what, "works", "missing", " ".join(line.split()), mend)


def _system() -> Iterator[Finding]:
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
    yield Finding(group, "GPU", "ok", device.gpu_name() or "no NVIDIA GPU: runs on the processor")


def _packages() -> Iterator[Finding]:
    for name, module in _REQUIRED.items():
        version = device.package_version(name)
        if version is None and find_spec(module) is not None:
            version = "installed, but not by pip"  # a Jetson's own OpenCV
        if version is None:
            yield Finding("packages", name, "missing", "not installed", f"pip install {name}")
        else:
            yield Finding("packages", name, "ok", version)


def _opencv() -> Iterator[Finding]:
    cv2, failed = _load("cv2", "OpenCV")
    if cv2 is None:
        yield failed
        return
    build = str(cv2.getBuildInformation())
    gui = opencv_feature(build, "GUI")
    windows = gui not in ("", "NONE", "NO")
    yield Finding(
        "OpenCV",
        "windows",
        "ok" if windows else "note",
        gui if windows else "this build has none: runs need -o FILE",
        "" if windows else "pip uninstall opencv-python-headless; pip install opencv-python",
    )
    gstreamer = opencv_feature(build, "GStreamer").startswith("YES")
    yield Finding(
        "OpenCV",
        "GStreamer",
        "ok" if gstreamer else "note",
        "yes" if gstreamer else "no: csi:// and gst: sources need it",
        "" if gstreamer else "use the system's OpenCV (Jetson: sudo apt install python3-opencv)",
    )
    shown = has_display()
    yield Finding(
        "OpenCV",
        "display",
        "ok" if shown else "note",
        "yes" if shown else "no display: runs need -o FILE or --no-window",
        "" if shown else "log in on the desktop, or connect with: ssh -X",
    )


def opencv_feature(build: str, name: str) -> str:
    """Returns what OpenCV's build information says of a feature, "" if it does not name it."""
    found = re.search(rf"^\s*{re.escape(name)}:[ \t]*(.*)$", build, re.MULTILINE)
    return found.group(1).strip() if found else ""


def has_display() -> bool:
    """Says whether windows can appear: a desktop session, or an X or Wayland server named."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _codecs() -> Iterator[Finding]:
    av, failed = _load("av", "video files")
    if av is None:
        yield failed
        return
    available = av.codecs_available
    encoders = [label for name, label in _ENCODERS.items() if name in available]
    works = "libx264" in available
    yield Finding(
        "video files",
        "writes",
        "ok" if works else "missing",
        ", ".join(encoders) or "nothing",
        "" if works else "this PyAV has no libx264: pip install --force-reinstall av",
    )
    lacking = [label for name, label in _DECODERS.items() if name not in available]
    decoders = [label for name, label in _DECODERS.items() if name in available]
    yield Finding(
        "video files",
        "reads",
        "note" if lacking else "ok",
        ", ".join(decoders) + (f"; not {', '.join(lacking)}" if lacking else ""),
        "pip install --force-reinstall av" if lacking else "",
    )


def _cameras() -> Iterator[Finding]:
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


def _inference() -> Iterator[Finding]:
    ort, failed = _load("onnxruntime", "inference")
    if ort is None:
        yield failed
        return
    providers = [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()]
    yield Finding("inference", "ONNX Runtime", "ok", f"{ort.__version__}: {', '.join(providers)}")
    if device.gpu_name() and not {"CUDA", "Tensorrt"} & set(providers):
        mend = "pip uninstall onnxruntime; pip install onnxruntime-gpu"
        yield Finding("inference", "GPU", "note", "this ONNX Runtime does not use the GPU", mend)


def _models() -> Iterator[Finding]:
    from edgeseg.model_file import shipped_models

    shipped = shipped_models()
    if not shipped:
        mend = "pip install --force-reinstall edgeseg"
        yield Finding("models", "shipped", "missing", "no model files", mend)
        return
    yield Finding("models", "shipped", "ok", ", ".join(shipped))
    yield run_default_model()


def run_default_model() -> Finding:
    """Runs the default model for a second on a grey 720p picture, conversion included."""
    from edgeseg.assemble import open_model
    from edgeseg.config import ModelConfig
    from edgeseg.types import Frame, Planes, Size

    loaded = open_model(ModelConfig(), live=True)
    planes = Planes.empty(Size(1280, 720))
    for plane in (planes.y, planes.u, planes.v):
        plane.fill(128)
    times: list[float] = []
    end = time.perf_counter() + RUN_S
    while time.perf_counter() < end or not times:
        started = time.perf_counter()
        loaded.segmenter.segment(Frame(planes.freeze(), 0, 0.0), NoTimer())
        times.append((time.perf_counter() - started) * 1e3)
    loaded.segmenter.close()
    tuning, middle = loaded.tuning, sorted(times)[len(times) // 2]
    detail = (
        f"{middle:.1f} ms a 720p picture on {loaded.backend} {loaded.device}, "
        f"{tuning.workers} worker(s) of {tuning.threads} thread(s)"
    )
    return Finding("models", loaded.file.name, "ok", detail)


def _load(module: str, group: str) -> tuple[ModuleType | None, Finding]:
    """Imports a module, or says why that fails and what to install."""
    try:
        return import_module(module), Finding(group, module, "ok", "")
    except ImportError as error:
        failed = _failed(group, error)
        return None, Finding(group, module, "missing", failed.detail, failed.mend)
