"""The range of values each tensor of a network takes on pictures like those it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeseg.model_file import ModelFile
from edgeseg.protocols import Tensor
from edgeseg.spec import ModelSpec

Method = Literal["minmax", "percentile", "entropy"]
COUNT = 200
"""Pictures used if nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """ranges: least and greatest value by tensor name. data: what ``Build.calibration`` says.

    notes: lines worth telling the user, such as fewer pictures than asked for.
    """

    ranges: Mapping[str, tuple[float, float]]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @staticmethod
    def from_file(model: ModelFile) -> Calibration:
        """Reads back what an INT8 file was made with. Raises ModelError where it says nothing."""
        raise NotImplementedError


def calibration_inputs(
    spec: ModelSpec, source: Path, *, count: int = COUNT, seed: int = 0
) -> list[Tensor]:
    """Returns the network's input for pictures of a folder, or frames of a video.

    A folder is searched with its sub-folders, or only its ``images/`` where it has one. Which
    pictures, in which order, depends on their names and the seed only. Fewer than ``count`` where
    there are not as many.

    Raises ConfigError: the source is missing, holds no picture or none that can be read.
    """
    raise NotImplementedError


def calibrate(
    model: ModelFile,
    source: Path,
    *,
    method: Method = "percentile",
    count: int = COUNT,
    seed: int = 0,
) -> Calibration:
    """Returns the ranges of every float tensor of ``fp32_graph(model)``; remembered in the cache.

    Raises ConfigError as ``calibration_inputs`` does, and for pictures the model finds nothing in.
    """
    raise NotImplementedError
