"""Threads, workers and graph level of a network on this machine, measured once and remembered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeseg.backends.options import GraphLevel
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.remembered import default_cache, recall, remember
from edgeseg.backends.timing import Measured, measure, measured_from_json
from edgeseg.device import available_cores, cpu_name, package_version
from edgeseg.model_file import ModelFile
from edgeseg.spec import Precision

log = logging.getLogger(__name__)

MAX_WORKERS = 8
"""More frames in flight than this add latency and memory, not throughput: Python must feed them."""
LATENCY_GAIN = 0.8
"""A live source gives a frame more threads only if that takes less than this of the time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file and the backend that may run it on the CPU."""

    backend: Literal["onnxruntime", "openvino"]
    file: ModelFile

    @property
    def precision(self) -> Precision:
        """Precision of the file."""
        return self.file.spec.precision

    def __str__(self) -> str:
        return f"{self.precision} on {self.backend}"


@dataclass(frozen=True, slots=True)
class Tuning:
    """threads: per network call. workers: calls at once. network_ms: of one call, best case.

    disturbed: other programs had the processor while that was measured. alone_ms: what a call
    costs in one thread, then as CPU time; 0 = not measured.
    """

    threads: int
    workers: int
    graph_level: GraphLevel
    network_ms: float
    disturbed: bool = False
    alone_ms: float = 0.0

    @property
    def frame_ms(self) -> float:
        """Milliseconds per frame with all workers busy."""
        return self.network_ms / self.workers


def autotune(
    candidate: Candidate,
    *,
    live: bool,
    threads: int = 0,
    workers: int = 0,
    cores: int | None = None,
    cache: Path | None = None,
) -> Tuning:
    """Returns how to run a model here; 0 threads or workers are chosen, others are kept.

    Measures for about ``timing.BUDGET_S`` the first time, then reads ``cache`` (default: the
    user's cache folder). A cache that is damaged or cannot be written is ignored.
    Raises what opening and running the model raise.
    """
    cores = cores or available_cores()
    path = cache or default_cache()
    key = _cache_key(candidate, cores, threads)
    measured = measured_from_json(recall(path, key))
    if measured is None:
        measured = _measure(candidate, cores=cores, threads=threads, cache=path)
        if not measured.disturbed:
            remember(path, key, measured.to_json())
    tuning = choose(measured, cores=cores, live=live, threads=threads, workers=workers)
    log.info("tuning of %s, %s: %s", candidate.file.name, candidate, tuning)
    return tuning


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
    workers = workers or _workers(best, cores)
    return Tuning(
        best,
        workers,
        measured.graph_level,
        timed[best],
        measured.disturbed,
        measured.alone_ms,
    )


def _measure(candidate: Candidate, *, cores: int, threads: int, cache: Path | None) -> Measured:
    if candidate.backend == "openvino":
        from edgeseg.backends.openvino_trial import try_out

        return try_out(candidate.file, cores=cores, threads=threads, cache=cache)
    return measure(
        lambda count, level: OrtBackend(candidate.file, threads=count, graph_level=level),
        cores=cores,
        threads=threads,
    )


def _workers(threads: int, cores: int) -> int:
    return max(1, min(cores // threads, MAX_WORKERS))


def _cache_key(candidate: Candidate, cores: int, threads: int) -> str:
    runtime = f"{candidate.backend} {package_version(candidate.backend)}"
    how = f"{cores} cores | {threads or 'any'} threads"
    return f"{candidate.file.sha256} | {runtime} | {cpu_name()} | {how}"
