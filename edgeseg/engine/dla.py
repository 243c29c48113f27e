"""Engines for a Jetson's DLA: what can be asked for, and which layers run where."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from edgeseg.engine.library import Library
from edgeseg.engine.request import EngineRequest, Target
from edgeseg.engine.support import DLA_SM
from edgeseg.errors import BackendUnavailable, ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placement:
    """Names of layers by where they run."""

    dla: tuple[str, ...]
    gpu: tuple[str, ...]

    def __str__(self) -> str:
        """Returns ``DLA: 2 layers (a, b); GPU: 1 layer (c)``."""
        return "; ".join(
            f"{where}: {len(names)} layer{'' if len(names) == 1 else 's'}"
            + (f" ({', '.join(names)})" if names else "")
            for where, names in (("DLA", self.dla), ("GPU", self.gpu))
        )


def check_precision(request: EngineRequest) -> None:
    """Raises ConfigError for a precision a DLA does not have.

    It has INT8 by implicit quantisation only, which takes no Q/DQ file and which TensorRT 11 lost.
    """
    if request.dla is not None and request.precision != "fp16":
        raise ConfigError(f"a DLA computes in FP16 only, not {request.precision}: --precision fp16")


def check_core(library: Library, builder: Any, core: int, target: Target) -> None:
    """Raises BackendUnavailable where there is no DLA, ConfigError where it has no such core."""
    cores = int(builder.num_DLA_cores)
    if cores == 0:
        why = (
            "TensorRT uses the DLA up to 10.7, and from 11.4.1 on AGX Orin"
            if target.sm in DLA_SM
            else "only Jetson Xavier and Orin (not Orin Nano) have one"
        )
        raise BackendUnavailable(
            f"--dla {core}: {library.title} finds no DLA on {target.title}: {why}; leave --dla out"
        )
    if core >= cores:
        have = "core 0" if cores == 1 else f"cores 0 to {cores - 1}"
        raise ConfigError(f"--dla {core}: {target.title} has DLA {have}")


def read_placement(library: Library, engine: Any) -> Placement:
    """Returns where an engine's layers run, as its inspector tells.

    Fallback to the GPU is silent in TensorRT, so this is the only way to see it.
    """
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(library.trt.LayerInformationFormat.JSON)
    return placement_of(text)


def placement_of(information: str) -> Placement:
    """Sorts the layers of an inspector's JSON; layers told by name only are taken by the name."""
    try:
        layers = json.loads(information).get("Layers", [])
    except (ValueError, AttributeError):
        log.info("the engine inspector's report is not readable: no layer placement")
        return Placement((), ())
    dla: list[str] = []
    gpu: list[str] = []
    for layer in layers:
        name = str(layer.get("Name", "?")) if isinstance(layer, dict) else str(layer)
        kind = str(layer.get("LayerType", "")) if isinstance(layer, dict) else ""
        # A DLA's part is one "{ForeignNode[first...last]}"; so is Myelin's, which runs on the GPU.
        foreign = name.startswith("{ForeignNode[") and kind.lower() in ("", "foreignnode")
        (dla if "dla" in kind.lower() or foreign else gpu).append(name)
    return Placement(tuple(dla), tuple(gpu))
