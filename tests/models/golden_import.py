"""What the official code gave on weights and pictures that follow from names and numbers alone.

`golden/<arch>.npz` holds the names and shapes of the official state and samples of the outputs;
`tools/import_parity.py ARCH --official FOLDER --size ... --record FILE` writes them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edgeseg.models.importing import ARCHITECTURES, Architecture
from edgeseg.models.importing.architectures import Settings
from edgeseg.types import Size

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from made_up import made_up_picture, made_up_state

__all__ = ["NAMES", "Golden", "golden", "made_up_picture", "made_up_state"]

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(ARCHITECTURES)


@dataclass(frozen=True)
class Golden:
    """One recording; `samples` are every so-maniest value of each flattened output."""

    known: Architecture
    size: Size
    shapes: dict[str, list[int]]
    output_shapes: dict[str, tuple[int, ...]]
    samples: dict[str, NDArray[np.float32]]
    steps: dict[str, int]

    def state(self) -> dict[str, Tensor]:
        return made_up_state(self.shapes)

    def settings(self, state: dict[str, Tensor]) -> Settings:
        return self.known.settings(state, self.size, 16)

    def picture(self) -> NDArray[np.uint8]:
        return made_up_picture(self.size.height, self.size.width)

    def check(self, outputs: dict[str, NDArray[np.float32]], tolerance: float) -> None:
        """tolerance: of the largest value, where that is above 1."""
        assert set(outputs) == set(self.samples)
        for name, value in outputs.items():
            assert value.shape == self.output_shapes[name]
            samples = self.samples[name]
            ours = value.flatten()[:: self.steps[name]]
            largest = float(np.abs(samples).max())
            assert largest > 0.1, f"{name}: a recording of next to nothing"
            assert np.abs(ours - samples).max() <= tolerance * max(1.0, largest), name


def golden(name: str) -> Golden:
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    outputs = [key.removeprefix("sample_") for key in arrays if key.startswith("sample_")]
    return Golden(
        ARCHITECTURES[name],
        Size(*(int(side) for side in arrays["size"])),
        json.loads(arrays["state"].tobytes()),
        {output: tuple(arrays[f"shape_{output}"]) for output in outputs},
        {output: arrays[f"sample_{output}"] for output in outputs},
        {output: int(arrays[f"step_{output}"]) for output in outputs},
    )
