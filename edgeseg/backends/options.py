"""How a backend is to run a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeseg.spec import Precision

GraphLevel = Literal["all", "basic"]  # extended measured within 5 % of basic on four real files


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """threads: of one network call on a CPU. workers: calls at once, so lanes on a GPU.

    graph_level: of ONNX Runtime. precision: of the file or engine to run; the opener finds it.
    gpu, dla, cuda, rebuild: as in ModelConfig.
    """

    threads: int = 1
    workers: int = 1
    graph_level: GraphLevel = "all"
    precision: Precision = "fp32"
    gpu: int = 0
    dla: int | None = None
    cuda: Literal["auto", "pycuda", "cuda-python"] = "auto"
    rebuild: bool = True
