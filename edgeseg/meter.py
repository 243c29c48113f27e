"""Meter: what a run did, counted and timed. Thread-safe, bounded memory, no I/O.

captured, inferred, rendered and written are separate counts with separate rates; latency is
capture to sink per frame; stage times are wall and thread CPU. A rate over n stamps divides
n - 1 intervals.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

Count = Literal["captured", "inferred", "rendered", "written", "dropped"]
COUNTS: tuple[Count, ...] = ("captured", "inferred", "rendered", "written", "dropped")
STAGES = ("decode", "preprocess", "infer", "decode_result", "smooth", "effect", "encode")

_SMALLEST_S = 1e-6
_STEP = math.log(1.01)


class Histogram:
    """Durations in logarithmic bins: any percentile within 1 %, at most about 2,500 bins.

    >>> h = Histogram()
    >>> for ms in range(1, 101): h.add(ms / 1000)
    >>> round(h.percentile(50), 3)
    0.05
    """

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}
        self.count = 0
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Adds one duration; below a microsecond counts as a microsecond."""
        seconds = max(seconds, _SMALLEST_S)
        index = round(math.log(seconds / _SMALLEST_S) / _STEP)
        self._bins[index] = self._bins.get(index, 0) + 1
        self.count += 1
        self.total_s += seconds

    def percentile(self, percent: float) -> float | None:
        """Returns the smallest duration in seconds that ``percent`` of entries do not exceed."""
        if not self.count:
            return None
        needed = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for index in sorted(self._bins):
            seen += self._bins[index]
            if seen >= needed:
                break
        return _SMALLEST_S * math.exp(index * _STEP)


LEAST_SPAN_S = 0.05


class Rate:
    """Events per second over the last ``window_s`` seconds."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._stamps: deque[float] = deque(maxlen=4096)

    def tick(self, now: float) -> None:
        """Notes one event at clock time ``now`` in seconds."""
        self._stamps.append(now)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._stamps and now - self._stamps[0] > self._window_s:
            self._stamps.popleft()

    def value(self, now: float) -> float | None:
        """Returns events per second, None where those in the window span too little time.

        Two workers end their first frames together, which is no rate.
        """
        self._forget(now)
        if len(self._stamps) < 2 or self._stamps[-1] - self._stamps[0] < LEAST_SPAN_S:
            return None
        return (len(self._stamps) - 1) / (self._stamps[-1] - self._stamps[0])


class NoTimer:
    """A protocols.StageTimer for where nobody measures."""

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        """Keeps nothing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures of this moment, rates over the sliding window. latencies are milliseconds."""

    counts: dict[Count, int]
    fps: dict[Count, float | None]
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    elapsed_s: float


class Meter:
    """Counts, rates, latencies and stage times of one run; implements protocols.StageTimer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Count, int] = dict.fromkeys(COUNTS, 0)
        self._rates: dict[Count, Rate] = {name: Rate() for name in COUNTS}
        self._latency = Histogram()
        self._recent_latency_s: deque[float] = deque(maxlen=120)
        self._wall = {stage: Histogram() for stage in STAGES}
        self._cpu_s: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._started = time.perf_counter()
        self._cpu_started_s = time.process_time()
        self._stopped: float | None = None
        self._cpu_stopped_s: float | None = None

    def start(self) -> None:
        """Sets the beginning of the run; calling it is optional, construction is the default."""
        self._started = time.perf_counter()
        self._cpu_started_s = time.process_time()

    def stop(self) -> None:
        """Sets the end of the run; the first call counts."""
        if self._stopped is None:
            self._stopped = time.perf_counter()
            self._cpu_stopped_s = time.process_time()

    def count(self, what: Count, number: int = 1) -> None:
        """Counts frames and feeds the sliding rate."""
        now = time.perf_counter()
        with self._lock:
            self._counts[what] += number
            for _ in range(number):
                self._rates[what].tick(now)

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        """Adds one frame's time in one stage; a stage not in STAGES is a KeyError."""
        with self._lock:
            self._wall[stage].add(wall_s)
            self._cpu_s[stage] += cpu_s

    def latency(self, seconds: float) -> None:
        """Adds one frame's time from capture to sink."""
        with self._lock:
            self._latency.add(seconds)
            self._recent_latency_s.append(seconds)

    def snapshot(self) -> Snapshot:
        """Returns the figures of this moment; latencies are those of the last 120 frames."""
        now = time.perf_counter()
        with self._lock:
            recent = sorted(self._recent_latency_s)
            return Snapshot(
                counts=dict(self._counts),
                fps={name: rate.value(now) for name, rate in self._rates.items()},
                latency_p50_ms=_pick_ms(recent, 50),
                latency_p99_ms=_pick_ms(recent, 99),
                elapsed_s=(self._stopped or now) - self._started,
            )

    def report(self, *, duplicated: int = 0, lost_by_source: int = 0) -> dict[str, Any]:
        """Returns frames, fps, latency_ms, stages_ms, cpu_ms_per_frame and elapsed_s of the run.

        fps are whole-run averages: count over elapsed seconds. cpu_ms_per_frame is process CPU
        over frames written (None when nothing was written).
        """
        self.stop()
        with self._lock:
            elapsed = max((self._stopped or 0.0) - self._started, 1e-9)
            cpu_s = (self._cpu_stopped_s or 0.0) - self._cpu_started_s
            frames = {**{str(k): v for k, v in self._counts.items()}, "duplicated": duplicated}
            frames["dropped"] += lost_by_source
            written = self._counts["written"]
            flowing = [name for name in COUNTS if name != "dropped"]
            return {
                "frames": frames,
                "fps": {
                    n: _rounded(self._counts[n] / elapsed) if elapsed else None for n in flowing
                },
                "latency_ms": {f"p{q}": _ms(self._latency.percentile(q)) for q in (50, 90, 99)},
                "stages_ms": {stage: self._stage(stage) for stage in STAGES},
                "cpu_ms_per_frame": _rounded(1000 * cpu_s / written) if written else None,
                "elapsed_s": _rounded(elapsed),
            }

    def _stage(self, stage: str) -> dict[str, float | None]:
        wall = self._wall[stage]
        cpu = _ms(self._cpu_s[stage] / wall.count) if wall.count else None
        return {"p50": _ms(wall.percentile(50)), "p99": _ms(wall.percentile(99)), "cpu": cpu}


def _pick_ms(ordered_s: list[float], percent: float) -> float | None:
    if not ordered_s:
        return None
    return 1000 * ordered_s[max(0, math.ceil(len(ordered_s) * percent / 100) - 1)]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(1000 * seconds)


def _rounded(value: float) -> float:
    return round(value, 3)
