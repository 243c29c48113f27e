"""What this machine is: processor, usable cores, memory, GPU name, versions of what computes."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PACKAGES = ("numpy", "opencv-python", "onnxruntime", "openvino", "tensorrt", "av")

_OPENCV_BUILDS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_ORT_BUILDS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


def available_cores() -> int:
    """Returns how many cores this process may use: its affinity, capped by a container's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def cgroup_quota(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Returns the tightest CPU quota in cores that control groups set, None without one.

    Reads ``cpu.max`` of this process's group and its parents (version 2), then version 1's files.
    """
    limits = [_read_cpu_max(folder / "cpu.max") for folder in _own_groups(root, own)]
    quota, period = (
        _read(root / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
    )
    if quota.isdigit() and period.isdigit() and int(period) > 0:  # -1 = none
        limits.append(int(quota) / int(period))
    set_limits = [limit for limit in limits if limit is not None]
    return min(set_limits) if set_limits else None


def _own_groups(root: Path, own: Path) -> list[Path]:
    """Returns the folders of this process's version-2 group, from itself up to the root."""
    path = next((line[3:] for line in _read(own).splitlines() if line.startswith("0::")), "/")
    inside = root / path.strip().lstrip("/")
    return [inside, *(p for p in inside.parents if p.is_relative_to(root))]


def _read_cpu_max(path: Path) -> float | None:
    parts = _read(path).split()
    if len(parts) == 2 and all(p.isdigit() for p in parts) and int(parts[1]) > 0:
        return int(parts[0]) / int(parts[1])
    return None


def _read(path: Path) -> str:
    """Returns a system file's text, empty where it does not exist."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """Returns the processor's trade name, or the board's where the processor has none (ARM)."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=2, check=True)
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
        return run.stdout.strip()
    named = _cpuinfo("model name") or _board()
    return named or platform.processor() or platform.machine() or "unknown"


def cpu_flags() -> frozenset[str]:
    """Returns the instruction sets the kernel lists, lower case; empty where it lists none."""
    return frozenset((_cpuinfo("flags") or _cpuinfo("features")).lower().split())


def _cpuinfo(key: str) -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == key:
            return value.strip()
    return ""


def _board() -> str:
    return _read(Path("/proc/device-tree/model")).strip("\0\n ")


def gpu_name() -> str | None:
    """Returns the first NVIDIA GPU's name as its driver gives it, None without a driver."""
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in _read(card).splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    board = _board()
    return f"{board} (integrated)" if "jetson" in board.lower() else None


def package_version(name: str) -> str | None:
    """Returns an installed package's version; OpenCV and ONNX Runtime under any of their names."""
    builds = next((b for b in (_OPENCV_BUILDS, _ORT_BUILDS) if name == b[0]), (name,))
    for build in builds:
        try:
            version = metadata.version(build)
        except metadata.PackageNotFoundError:
            continue
        return version if build == name else f"{version} ({build})"
    return None


def memory_gib() -> float | None:
    """Returns the machine's memory in GiB, None where psutil is missing."""
    try:
        import psutil
    except ImportError:  # doctor must run, and say so, on half an installation
        return None
    return round(psutil.virtual_memory().total / 2**30, 1)


def describe_device() -> dict[str, object]:
    """Returns the ``device`` object of every report: names, cores, memory in GiB, versions."""
    return {
        "cpu": cpu_name(),
        "cores": available_cores(),
        "memory_gib": memory_gib(),
        "gpu": gpu_name(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES},
    }
