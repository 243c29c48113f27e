"""What NVIDIA documents about versions and devices, as data for messages, doctor and README."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TEGRA_RELEASE = Path("/etc/nv_tegra_release")


@dataclass(frozen=True, slots=True)
class JetPack:
    """A line of JetPack. l4t: first L4T release of the line. devices: what it runs on.

    dla: cores that edgeseg may use there. edgeseg: what to expect; none of it ran on a Jetson.
    """

    name: str
    l4t: tuple[int, int]
    system: str
    cuda: str
    tensorrt: str
    devices: str
    dla: str
    edgeseg: str


JETPACKS: tuple[JetPack, ...] = (
    JetPack(
        "5.1", (35, 0), "Ubuntu 20.04, Python 3.8", "11.4", "8.5.2", "Xavier, Orin",
        "Xavier, Orin (not Nano)", "its Python is too old for edgeseg (3.10 or newer)",
    ),
    JetPack(
        "6.0", (36, 2), "Ubuntu 22.04, Python 3.10", "12.2", "8.6.2", "Orin",
        "Orin (not Nano)", "weakly typed engines from the FP32 file",
    ),
    JetPack(
        "6.1, 6.2", (36, 4), "Ubuntu 22.04, Python 3.10", "12.6", "10.3.0", "Orin",
        "Orin (not Nano)", "strongly typed engines; on DLA weakly typed ones",
    ),
    JetPack(
        "7.0, 7.1", (38, 0), "Ubuntu 24.04, Python 3.12", "13.0", "10.13", "Thor",
        "none", "strongly typed engines",
    ),
    JetPack(
        "7.2", (39, 0), "Ubuntu 24.04, Python 3.12", "13.2", "10.16; 11.4.1 from 7.2.2 on",
        "Orin, Thor", "AGX Orin with TensorRT 11.4.1", "strongly typed engines",
    ),
)  # fmt: skip

MINIMUM_SM: dict[str, tuple[tuple[tuple[int, int], tuple[int, int]], ...]] = {
    "tensorrt": (((8, 5), (5, 0)), ((10, 0), (7, 0)), ((10, 5), (7, 5))),
    "tensorrt-rtx": (((1, 0), (7, 5)),),
}
"""First version -> oldest compute capability it runs on, by NVIDIA's support matrices."""

OPERATOR_SINCE = {
    "GroupNormalization": "8.6",
    "LayerNormalization": "8.6",
    "IsInf": "8.6",
    "Hardmax": "10.0",
    "DeformConv": "10.1",
    "BlackmanWindow": "10.4",
    "HammingWindow": "10.4",
    "HannWindow": "10.4",
    "STFT": "10.5",
}
"""Operators that came after 8.5, by onnx-tensorrt's change log."""

DLA_SM = ((7, 2), (8, 7))
"""Compute capabilities of Xavier and Orin, the devices with a DLA that TensorRT uses."""


def minimum_sm(library: str, version: str) -> tuple[int, int]:
    """Returns the oldest compute capability a version of TensorRT runs on."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    rows = MINIMUM_SM[library]
    fitting = [sm for first, sm in rows if first <= numbers]
    return fitting[-1] if fitting else rows[0][1]


def l4t_release(path: Path | None = None) -> str:
    """Returns a Jetson's L4T release, such as "36.4.3"; "" on any other machine."""
    try:
        text = (path or TEGRA_RELEASE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found.group(1)}.{found.group(2)}" if found else ""


def jetpack_of(l4t: str) -> JetPack | None:
    """Returns the JetPack line of an L4T release, None for one before 35 or none at all."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", l4t)[:2])
    older = [row for row in JETPACKS if row.l4t <= numbers]
    return older[-1] if numbers and older else None


def jetpack_name(l4t: str) -> str:
    """Returns ``6.1, 6.2 (L4T 36.4.3)``, "" on a machine that is no Jetson."""
    row = jetpack_of(l4t)
    return f"{row.name if row else 'unknown'} (L4T {l4t})" if l4t else ""
