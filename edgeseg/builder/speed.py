"""How long network calls take, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from edgeseg.ops.image import network_input
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Backend, Tensor
from edgeseg.spec import InputSpec
from edgeseg.types import Frame

BUDGET_S = 5.0
"""Time for all of them together."""
Name = TypeVar("Name", bound=str)
LEAST_ROUNDS, MOST_ROUNDS = 5, 200


def side_by_side_ms(
    backends: Mapping[Name, Backend], spec: InputSpec, *, budget_s: float | None = None
) -> dict[Name, float]:
    """Returns the median milliseconds of a network call of each backend.

    They take turns, one call each, so that what else the machine does meets all alike. budget_s:
    time for all of them, ``BUDGET_S`` unless given.
    """
    feeds = {spec.name: _picture(spec)}
    for backend in backends.values():
        backend.infer(feeds)
        backend.infer(feeds)
    times: dict[Name, list[float]] = {name: [] for name in backends}
    deadline = time.perf_counter() + (BUDGET_S if budget_s is None else budget_s)
    for done in range(MOST_ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() > deadline:
            break
        for name, backend in backends.items():
            started = time.perf_counter()
            backend.infer(feeds)
            times[name].append((time.perf_counter() - started) * 1e3)
    return {name: round(float(np.median(values)), 3) for name, values in times.items()}


def _picture(spec: InputSpec) -> Tensor:
    """Returns the input of a picture with something in it: noise takes every path of a network."""
    shape = (spec.size.height, spec.size.width, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tensor, _ = network_input(Frame(from_bgr(noise), 0, 0.0), spec)
    return tensor
