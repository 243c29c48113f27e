"""Arithmetic of GPU measurements, by trtexec's definitions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNSTABLE = 0.025
"""Coefficient of variation of the compute time from which trtexec speaks of unstable clocks."""
ENQUEUE_BOUND = 0.8
"""Share of the compute time from which enqueueing it is what holds it up."""


@dataclass(frozen=True)
class Preset:
    """What trtexec of a major version measures where it is not told otherwise."""

    name: str
    transfers: bool
    graph: bool
    spin: bool

    def describe(self, *, capturable: bool) -> str:
        graph = "yes" if self.graph and capturable else "no"
        refused = " (this network cannot be captured)" if self.graph and not capturable else ""
        spin = "spin" if self.spin else "block"
        return (
            f"transfers included: {'yes' if self.transfers else 'no'}, CUDA graph: {graph}{refused}"
            f", waiting: as the driver does by default ({self.name}: {spin})"
        )


PRESETS = {
    "trtexec10": Preset("trtexec 8 to 10", transfers=True, graph=False, spin=False),
    "trtexec11": Preset("trtexec 11", transfers=False, graph=True, spin=True),
}


@dataclass(frozen=True)
class Query:
    """Milliseconds of one run: copies and computing by events, enqueueing by the host's clock."""

    h2d_ms: float
    compute_ms: float
    d2h_ms: float
    enqueue_ms: float

    @property
    def latency_ms(self) -> float:
        """H2D + compute + D2H: not the wall clock's."""
        return self.h2d_ms + self.compute_ms + self.d2h_ms


def percentile(values: Sequence[float], percent: float) -> float:
    """The value at index ``max(N - 1 - int((1 - p / 100) * N), 0)`` of the sorted list.

    In float32, as trtexec computes it: 1 - 99 / 100 is a little less than 0.01 there.
    """
    ordered = sorted(values)
    share = np.float32(1) - np.float32(percent) / np.float32(100)
    excluded = int(share * np.float32(len(ordered)))
    return ordered[max(len(ordered) - 1 - excluded, 0)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Least, greatest, mean, median, percentiles and coefficient of variation."""
    mean = statistics.fmean(values)
    found = {
        "min": min(values),
        "max": max(values),
        "mean": mean,
        "median": statistics.median(values),
        **{f"p{percent}": percentile(values, percent) for percent in (90, 95, 99)},
    }
    found["cv"] = statistics.pstdev(values) / mean if mean else 0.0
    return {name: round(value, 5) for name, value in found.items()}


def network_figures(queries: Sequence[Query], span_ms: float) -> dict[str, object]:
    """All figures of a network alone; span_ms: first copy's start to last copy's end."""
    parts = {
        "latency_ms": [q.latency_ms for q in queries],
        "h2d_ms": [q.h2d_ms for q in queries],
        "compute_ms": [q.compute_ms for q in queries],
        "d2h_ms": [q.d2h_ms for q in queries],
        "enqueue_ms": [q.enqueue_ms for q in queries],
    }
    figures: dict[str, object] = {name: summary(values) for name, values in parts.items()}
    compute = summary(parts["compute_ms"])
    figures["queries"] = len(queries)
    figures["throughput_qps"] = round(len(queries) / span_ms * 1e3, 3)
    figures["unstable_clocks"] = compute["cv"] > UNSTABLE
    enqueue = statistics.median(parts["enqueue_ms"])
    figures["enqueue_bound"] = enqueue > ENQUEUE_BOUND * compute["median"]
    return figures


def frame_figures(latencies_ms: Sequence[float], span_s: float) -> dict[str, object]:
    """Figures of whole frames by the host's clock."""
    return {
        "frames": len(latencies_ms),
        "fps": round(len(latencies_ms) / span_s, 3),
        "latency_ms": summary(latencies_ms),
    }
