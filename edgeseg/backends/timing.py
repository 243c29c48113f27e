"""Milliseconds of a network call on this machine, by number of threads and graph level."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from edgeseg.backends.options import GraphLevel
from edgeseg.backends.tensors import neutral_inputs
from edgeseg.protocols import Backend, Tensor

Opener = Callable[[int, GraphLevel], Backend]
"""Opens a network with a number of threads at a graph level."""

BUDGET_S = 0.6
"""Time spent on calls; what did not fit is not tried."""
OPENING_S = 1.2
"""Time spent on opening beyond which it is taken from the calls': OpenVINO compiles for 0.5 s."""
FAST_MS = 10.0
"""Below this in one thread, a second thread costs more in hand-over than it gains (measured)."""
HOPELESS = 1.7
"""A first call, which also fills caches, longer than this many times the best so far ends a try."""
UNDISTURBED = 0.75
"""Share of the measuring time the processor must have been ours for figures worth keeping."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The best graph level in one thread, and milliseconds per call by number of threads.

    disturbed: other programs kept the processor from us, so the figures are too high.
    cpu_ms: of a call with the fewest threads tried; 0 = as long as it took.
    """

    graph_level: GraphLevel
    network_ms: dict[int, float]
    disturbed: bool = False
    cpu_ms: float = 0.0

    @property
    def alone_ms(self) -> float:
        """What a call costs with the fewest threads, whatever else the machine does."""
        return (
            self.cpu_ms if self.disturbed and self.cpu_ms else self.network_ms[min(self.network_ms)]
        )

    def to_json(self) -> dict[str, object]:
        """Returns what ``measured_from_json`` takes; ``disturbed`` is not kept."""
        return {
            "graph_level": self.graph_level,
            "network_ms": self.network_ms,
            "cpu_ms": self.cpu_ms,
        }


def measured_from_json(entry: object, *, disturbed: bool = False) -> Measured | None:
    """Returns the measurement an entry holds, None where it is damaged."""
    if not isinstance(entry, dict) or entry.get("graph_level") not in get_args(GraphLevel):
        return None
    try:
        timed = {int(n): float(ms) for n, ms in entry["network_ms"].items()}
        cpu_ms = float(entry.get("cpu_ms", 0.0))
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    sane = bool(timed) and all(n >= 1 and ms > 0 for n, ms in timed.items())
    return Measured(entry["graph_level"], timed, disturbed, max(cpu_ms, 0.0)) if sane else None


def measure(
    open_network: Opener,
    *,
    cores: int,
    threads: int = 0,
    levels: Sequence[GraphLevel] = get_args(GraphLevel),
    own_time: Callable[[], float] = time.thread_time,
) -> Measured:
    """Times the network in one thread, in more where that may pay, and at the other graph levels.

    In this order: of a network of 50 ms two tries fill the time, and its threads matter most.
    own_time: seconds of CPU time of whatever runs the network when it has one thread.
    """
    started, started_cpu = time.perf_counter(), own_time()
    budget = _Budget(open_network, BUDGET_S, OPENING_S, own_time)
    first, level = threads or 1, levels[0]
    timed = {first: _best_ms(budget, first, level)}
    cpu_ms = budget.least_cpu_ms
    wall_s, cpu_s = time.perf_counter() - started, own_time() - started_cpu
    disturbed = first == 1 and cpu_s < wall_s * UNDISTURBED  # one thread: all of it is our own
    alone = best = timed[first]
    if not threads and alone >= FAST_MS:
        for count in _thread_counts(cores):
            if not budget.over:
                timed[count] = _best_ms(budget, count, level, beat=alone)
    for other in levels[1:]:
        if not budget.over:
            ms = _best_ms(budget, first, other, beat=best)
            level, best = min((level, best), (other, ms), key=lambda pair: pair[1])
    gain = best / alone  # a level's gain is taken to be the same for any number of threads
    network_ms = {count: ms * gain for count, ms in timed.items()}
    return Measured(level, network_ms, disturbed, cpu_ms if first == 1 else 0.0)


def call_ms(backend: Backend, feeds: dict[str, Tensor]) -> float:
    """Returns how long one call takes."""
    started = time.perf_counter()
    backend.infer(feeds)
    return (time.perf_counter() - started) * 1e3


def _thread_counts(cores: int) -> list[int]:
    """Returns the thread counts worth trying beyond one: 2, 4, 8 and all cores, at most 8."""
    return sorted({n for n in (2, 4, 8, min(cores, 8)) if 1 < n <= cores})


class _Budget:
    """Time for calls; opening a network takes none of it, up to ``opening_s`` in all.

    least_cpu_ms: CPU time of the cheapest call so far.
    """

    def __init__(
        self,
        open_network: Opener,
        calls_s: float,
        opening_s: float,
        own_time: Callable[[], float],
    ) -> None:
        self._open_network, self._opening_s = open_network, opening_s
        self._deadline = time.perf_counter() + calls_s
        self._own_time, self.least_cpu_ms = own_time, math.inf

    @property
    def over(self) -> bool:
        """Says whether the time is up."""
        return time.perf_counter() > self._deadline

    def open(self, threads: int, level: GraphLevel) -> Backend:
        """Opens the network."""
        started = time.perf_counter()
        backend = self._open_network(threads, level)
        free = min(time.perf_counter() - started, self._opening_s)
        self._opening_s -= free
        self._deadline += free
        return backend

    def call_ms(self, backend: Backend, feeds: dict[str, Tensor]) -> float:
        """Returns how long one call takes."""
        before = self._own_time()
        ms = call_ms(backend, feeds)
        self.least_cpu_ms = min(self.least_cpu_ms, (self._own_time() - before) * 1e3)
        return ms


def _best_ms(budget: _Budget, threads: int, level: GraphLevel, *, beat: float = math.inf) -> float:
    """Returns the shortest of 1 to 12 calls: other programs only ever make a call longer.

    Gives up after the first call when that is far from ``beat`` milliseconds.
    """
    backend = budget.open(threads, level)
    try:
        feeds = neutral_inputs(backend.info)
        first = budget.call_ms(backend, feeds)
        if first > beat * HOPELESS:
            return first
        best, share = budget.call_ms(backend, feeds), time.perf_counter() + BUDGET_S / 8
        for _ in range(10):
            if budget.over or time.perf_counter() > share:
                break
            best = min(best, budget.call_ms(backend, feeds))
        return best
    finally:
        backend.close()
