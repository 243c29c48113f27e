"""What engine is wanted, and for which GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeseg.spec import Precision

Typing = Literal["strong", "weak"]
"""strong: every tensor has the type the ONNX file gives it. weak: TensorRT chooses, by flags."""

Progress = Callable[[str, float], None]
"""Called during a build with a phase's name and the share of it done, 0..1, from any thread."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One engine.

    rtx: of TensorRT-RTX. typing: None = strong where this TensorRT has it. dla: core of a Jetson's
    DLA, None = the GPU. workspace: bytes a layer may use for scratch. level: effort, 0..5.
    target: compute capability to build for where no such GPU is here, TensorRT-RTX only.
    rebuild: replace an engine that does not fit; False refuses it. folder: of engines, None = the
    user's cache.
    """

    precision: Precision = "fp16"
    rtx: bool = False
    typing: Typing | None = None
    dla: int | None = None
    workspace: int = 1 << 30
    level: int = 3
    target: tuple[int, int] | None = None
    rebuild: bool = True
    folder: Path | None = None

    @property
    def library(self) -> str:
        """Name of the TensorRT that is to build."""
        return "tensorrt-rtx" if self.rtx else "tensorrt"


@dataclass(frozen=True, slots=True)
class Target:
    """The GPU an engine is for. name: "" for any of its compute capability.

    driver_cuda: newest CUDA version its driver runs, (0, 0) without a driver.
    """

    name: str
    sm: tuple[int, int]
    driver_cuda: tuple[int, int] = (0, 0)

    @property
    def title(self) -> str:
        """``NVIDIA H200 (sm_90)``."""
        return f"{self.name or 'any GPU'} ({sm_name(self.sm)})"


def sm_name(sm: tuple[int, int]) -> str:
    """Returns ``sm_87`` for (8, 7)."""
    return f"sm_{sm[0]}{sm[1]}"
