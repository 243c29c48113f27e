"""A segmenter over a labelled data set: one pass, without temporal state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.evaluate.picture_folder import read_picture
from edgeseg.evaluate.scoring import Scoring, number
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.types import Frame


@dataclass(frozen=True, slots=True)
class Evaluation:
    """figures: as the report names them. worst: (score, number of the picture), worst first.

    infer_ms: network time of each picture.
    """

    figures: dict[str, Any]
    worst: list[tuple[float, int]]
    infer_ms: list[float]


class _InferTimes:
    """A StageTimer that keeps the network's times."""

    def __init__(self) -> None:
        self.ms: list[float] = []

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        if stage == "infer":
            self.ms.append(wall_s * 1e3)


def evaluate(
    segmenter: Segmenter,
    scoring: Scoring,
    *,
    on_image: Callable[[Path], None] = lambda path: None,
) -> Evaluation:
    """Segments every picture and scores it at its labels' own resolution.

    Raises ConfigError for an unreadable picture or label, ModelError when the network fails.
    """
    timer, worst = _InferTimes(), []
    for index, path in enumerate(scoring.pictures):
        frame = Frame(from_bgr(read_picture(path)), index, 0.0)
        worst.append((scoring.add(index, segmenter.segment(frame, timer)), index))
        on_image(path)
    worst.sort(key=lambda pair: (pair[0], scoring.pictures[pair[1]].name))
    times = np.array(timer.ms)
    network = {"p50": number(float(np.median(times))), "min": number(float(times.min()))}
    return Evaluation({**scoring.figures(), "network_ms": network}, worst, timer.ms)
