"""Threads, workers and graph level of a network on this machine, measured once and remembered."""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edgeseg.assets import user_cache_dir
from edgeseg.backends.ort import GRAPH_LEVELS, GraphLevel, OrtBackend, neutral_inputs
from edgeseg.device import available_cores, cpu_name, package_version
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Tensor

log = logging.getLogger(__name__)

BUDGET_S = 0.6
"""Time spent on measuring; what did not fit is not tried."""
FAST_MS = 10.0
"""Below this in one thread, a second thread costs more in hand-over than it gains (measured)."""
MAX_WORKERS = 8
"""More frames in flight than this add latency and memory, not throughput: Python must feed them."""
HOPELESS = 1.7
"""A first call, which also fills caches, longer than this many times the best so far ends a try."""
UNDISTURBED = 0.75
"""Share of the measuring time the processor must have been ours for figures worth keeping."""
LATENCY_GAIN = 0.8
"""A live source gives a frame more threads only if that takes less than this of the time."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """threads: per network call. workers: calls at once. network_ms: of one call, best case."""

    threads: int
    workers: int
    graph_level: GraphLevel
    network_ms: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The best graph level in one thread, and milliseconds per call by number of threads.

    disturbed: other programs kept the processor from us, so the figures are too high.
    """

    graph_level: GraphLevel
    network_ms: dict[int, float]
    disturbed: bool = False


def autotune(
    model: ModelFile,
    *,
    live: bool,
    threads: int = 0,
    workers: int = 0,
    cores: int | None = None,
    cache: Path | None = None,
) -> Tuning:
    """Returns how to run a model here; 0 threads or workers are chosen, others are kept.

    Measures for about ``BUDGET_S`` the first time, then reads ``cache`` (default: the user's
    cache folder). A cache that is damaged or cannot be written is ignored.
    Raises what opening and running the model raise.
    """
    cores = cores or available_cores()
    path = cache or default_cache()
    key = _cache_key(model, cores, threads)
    measured = _recall(path, key)
    if measured is None:
        measured = measure(model, cores=cores, threads=threads)
        if not measured.disturbed:
            _remember(path, key, measured)
    tuning = choose(measured, cores=cores, live=live, threads=threads, workers=workers)
    log.info("tuning of %s: %s", model.name, tuning)
    return tuning


def measure(model: ModelFile, *, cores: int, threads: int = 0) -> Measured:
    """Times the network in one thread, in more where that may pay, and at the other graph levels.

    In this order: of a network of 50 ms two tries fill the time, and its threads matter most.
    """
    started, started_cpu = time.perf_counter(), time.thread_time()
    deadline = started + BUDGET_S
    first, level = threads or 1, GRAPH_LEVELS[0]
    timed = {first: _best_ms(model, first, level, deadline)}
    wall_s, cpu_s = time.perf_counter() - started, time.thread_time() - started_cpu
    disturbed = first == 1 and cpu_s < wall_s * UNDISTURBED  # one thread: all of it is our own
    alone = best = timed[first]
    if not threads and alone >= FAST_MS:
        for count in _thread_counts(cores):
            if time.perf_counter() < deadline:
                timed[count] = _best_ms(model, count, level, deadline, beat=alone)
    for other in GRAPH_LEVELS[1:]:
        if time.perf_counter() < deadline:
            ms = _best_ms(model, first, other, deadline, beat=best)
            level, best = min((level, best), (other, ms), key=lambda pair: pair[1])
    gain = best / alone  # a level's gain is taken to be the same for any number of threads
    return Measured(level, {count: ms * gain for count, ms in timed.items()}, disturbed)


def choose(
    measured: Measured, *, cores: int, live: bool, threads: int = 0, workers: int = 0
) -> Tuning:
    """Decides from measurements.

    A file wants frames per second: the split of the cores with the most calls per second, the
    fewer workers when equal. A live source wants its frames soon: as many threads as still
    shorten a call noticeably, and workers on the cores that are left.
    """
    timed = measured.network_ms
    if threads:
        best = threads
    elif live:
        best = min(timed)
        for count in sorted(timed):
            if timed[count] <= timed[best] * LATENCY_GAIN:
                best = count
    else:
        best = max(timed, key=lambda n: (round(_workers(n, cores) / timed[n], 3), n))
    return Tuning(best, workers or _workers(best, cores), measured.graph_level, timed[best])


def default_cache() -> Path | None:
    """Returns the tuning file in the user's cache folder, None for a user without a home."""
    folder = user_cache_dir()
    return None if folder is None else folder / "tuning.json"


def _workers(threads: int, cores: int) -> int:
    return max(1, min(cores // threads, MAX_WORKERS))


def _thread_counts(cores: int) -> list[int]:
    """Returns the thread counts worth trying beyond one: 2, 4, 8 and all cores, at most 8."""
    return sorted({n for n in (2, 4, 8, min(cores, 8)) if 1 < n <= cores})


def _best_ms(
    model: ModelFile, threads: int, level: GraphLevel, deadline: float, *, beat: float = math.inf
) -> float:
    """Returns the shortest of 1 to 12 calls: other programs only ever make a call longer.

    Gives up after the first call when that is far from ``beat`` milliseconds.
    """
    backend = OrtBackend(model, threads=threads, graph_level=level)
    feeds = neutral_inputs(backend.info)
    first = _call_ms(backend, feeds)
    if first > beat * HOPELESS:
        return first
    best, share = _call_ms(backend, feeds), time.perf_counter() + BUDGET_S / 8
    for _ in range(10):
        if time.perf_counter() > min(share, deadline):
            break
        best = min(best, _call_ms(backend, feeds))
    backend.close()
    return best


def _call_ms(backend: OrtBackend, feeds: dict[str, Tensor]) -> float:
    started = time.perf_counter()
    backend.infer(feeds)
    return (time.perf_counter() - started) * 1e3


def _cache_key(model: ModelFile, cores: int, threads: int) -> str:
    versions = f"onnxruntime {package_version('onnxruntime')}"
    return (
        f"{model.sha256} | {versions} | {cpu_name()} | {cores} cores | {threads or 'any'} threads"
    )


def _read_cache(path: Path | None) -> dict[str, object]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _recall(path: Path | None, key: str) -> Measured | None:
    entry = _read_cache(path).get(key)
    if not isinstance(entry, dict) or entry.get("graph_level") not in GRAPH_LEVELS:
        return None
    try:
        timed = {int(n): float(ms) for n, ms in entry["network_ms"].items()}
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    sane = bool(timed) and all(n >= 1 and ms > 0 for n, ms in timed.items())
    return Measured(entry["graph_level"], timed) if sane else None


def _remember(path: Path | None, key: str, measured: Measured) -> None:
    """Adds an entry and replaces the file in one step, so that a reader never sees half of it."""
    if path is None:
        return
    kept = {"graph_level": measured.graph_level, "network_ms": measured.network_ms}
    entries = {**_read_cache(path), key: kept}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(entries, file, indent=1)
        os.replace(temporary, path)
    except OSError as error:
        log.debug("tuning not remembered in %s: %s", path, error)
