"""Which backend and precision run a model here: what was asked for, or with ``auto`` the fastest.

``auto`` takes a GPU where one and its packages are there; TensorRT where the model's engine is
built already. On a CPU it times the model's own file
and, where it was found accurate enough and the processor is made for it, the INT8 one, in each
runtime that is installed; once, then from memory.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeseg.backends.gpu_choice import engine_to_build, open_on_gpu, usable_gpu_backends
from edgeseg.backends.opening import open_backend
from edgeseg.backends.options import BackendOptions
from edgeseg.backends.tuning import Candidate, Tuning, autotune
from edgeseg.backends.variant import file_for_cpu, gate_passed
from edgeseg.config import ModelConfig
from edgeseg.device import cpu_flags, package_version
from edgeseg.errors import BackendUnavailable, ConfigError, EdgesegError, ModelError
from edgeseg.model_file import ModelFile, load_variant
from edgeseg.protocols import Backend

log = logging.getLogger(__name__)

LEAST_GAIN = 1.1
"""A candidate must be this many times as fast as a simpler one: plain float goes before INT8,
ONNX Runtime, which is there anyway and takes less memory, before OpenVINO."""
FAST_INT8 = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm"})
"""Instructions that multiply bytes four at a time; without them INT8 saturates or is slow."""

CpuBackend = Literal["onnxruntime", "openvino"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A model opened for running.

    file: the one that runs, with its source's recipe. remarks: what was not taken, and why.
    """

    backend: Backend
    file: ModelFile
    tuning: Tuning
    remarks: tuple[str, ...] = ()


def open_network(
    model: ModelFile, config: ModelConfig, *, live: bool, cache: Path | None = None
) -> Opened:
    """Opens a model as the configuration asks; what it leaves open is decided here.

    Raises:
        ConfigError: settings that exclude one another, or no file of that precision.
        BackendUnavailable: what was asked for cannot run here.
        ModelError: it refuses the model.
    """
    kind = "tensorrt" if config.backend == "auto" and config.dla is not None else config.backend
    if kind in ("onnxruntime", "openvino") and config.dla is not None:
        raise ConfigError(f"model.dla: {kind} runs on the CPU; use --backend tensorrt")
    if kind not in ("auto", "onnxruntime", "openvino"):
        backend, tuning = open_on_gpu(model, config, kind)
        return Opened(backend, model, tuning)
    remarks: list[str] = []
    for name in usable_gpu_backends() if kind == "auto" else ():
        try:
            command = engine_to_build(model, config) if name == "tensorrt" else ""
            if command:
                remarks.append(f"{name}: its engine is not built yet: {command}")
                log.warning("TensorRT would run %s faster once built: %s", model.name, command)
                continue
            backend, tuning = open_on_gpu(model, config, name)
        except EdgesegError as error:
            remarks.append(f"{name}: {error}")
            log.warning("%s does not run %s: %s", name, model.name, error)
        else:
            return Opened(backend, model, tuning, tuple(remarks))
    candidates, doubts = cpu_candidates(model, config)
    remarks += doubts
    chosen, tuning = fastest(candidates, config, live=live, cache=cache, remarks=remarks)
    for remark in remarks:
        log.info("%s: %s", model.name, remark)
    options = BackendOptions(
        threads=tuning.threads,
        workers=tuning.workers,
        graph_level=tuning.graph_level,
        precision=chosen.precision,
    )
    backend = open_backend(chosen.file, kind=chosen.backend, options=options)
    return Opened(backend, chosen.file, tuning, tuple(remarks))


def cpu_candidates(model: ModelFile, config: ModelConfig) -> tuple[list[Candidate], list[str]]:
    """Returns what may run a model on the CPU, the simplest first, and why the rest may not.

    Raises ConfigError or ModelError when a precision is asked for that there is no file of.
    """
    backends = _cpu_backends(config)
    if config.precision != "auto" or model.spec.precision != "fp32":
        wanted = model.spec.precision if config.precision == "auto" else config.precision
        file = file_for_cpu(model, wanted)
        doubt = int8_doubt(file)
        return [Candidate(name, file) for name in backends], [doubt] if doubt else []
    try:
        int8 = file_for_cpu(model, "int8") if load_variant(model, "int8") else None
    except ModelError as error:
        log.warning("%s: left aside", error)
        return [Candidate(name, model) for name in backends], [f"int8 not taken: {error}"]
    doubt = "" if int8 is None else int8_doubt(int8)
    if int8 is None or doubt:
        remarks = [f"int8 not taken: {doubt}"] if doubt else []
        return [Candidate(name, model) for name in backends], remarks
    return [Candidate(backends[0], model), *(Candidate(name, int8) for name in backends)], []


def int8_doubt(file: ModelFile) -> str:
    """Returns why a file had better not run on this CPU, "" for one of another precision, too."""
    if file.spec.precision != "int8":
        return ""
    if not gate_passed(file):
        return f"{file.path.name} was not shown to be accurate enough (edgeseg build --data DIR)"
    flags = cpu_flags()
    if flags & FAST_INT8 or (not flags and platform.machine().lower() == "arm64"):  # Apple's
        return ""
    if not flags:
        return "this system does not tell whether its processor has VNNI instructions"
    return "this processor has no VNNI or dot-product instructions: slow, and less accurate"


def fastest(
    candidates: Sequence[Candidate],
    config: ModelConfig,
    *,
    live: bool,
    remarks: list[str],
    cache: Path | None = None,
) -> tuple[Candidate, Tuning]:
    """Returns the candidate to run and how; appends to ``remarks`` what the others lack.

    On a busy machine, where times cannot be compared, CPU times of files in one runtime are.

    Raises BackendUnavailable or ModelError when none runs; every reason is listed.
    """
    best: tuple[Candidate, Tuning] | None = None
    failures: dict[str, EdgesegError] = {}
    for candidate in candidates:
        if best is not None and best[1].disturbed and candidate.backend != best[0].backend:
            remarks.append(f"{candidate}: not timed, this machine is busy with something else")
            continue
        try:
            tuning = autotune(
                candidate, live=live, threads=config.threads, workers=config.workers, cache=cache
            )
        except (BackendUnavailable, ModelError) as error:
            failures[str(candidate)] = error
            remarks.append(f"{candidate}: {error}")
            continue
        if best is None:
            best = (candidate, tuning)
            continue
        ours, theirs = _costs(tuning, best[1], live=live)
        if ours * LEAST_GAIN <= theirs:
            best = (candidate, tuning)
        else:
            remarks.append(
                f"{candidate}: not {LEAST_GAIN:g} times as fast as {best[0]} here "
                f"({tuning.network_ms:.3g} ms a picture, {best[1].network_ms:.3g} ms)"
            )
    if best is None:
        raise _none_runs(candidates[0].file, failures)
    return best


def _costs(one: Tuning, other: Tuning, *, live: bool) -> tuple[float, float]:
    """Returns what to compare two by: times, or CPU times where others had the processor."""
    if one.disturbed or other.disturbed:
        return one.alone_ms, other.alone_ms
    return (one.network_ms, other.network_ms) if live else (one.frame_ms, other.frame_ms)


def _none_runs(file: ModelFile, failures: dict[str, EdgesegError]) -> EdgesegError:
    """Returns the failure if there was one, or the same each time; else one that lists them all."""
    if len({str(error) for error in failures.values()}) == 1:
        return next(iter(failures.values()))
    reasons = "; ".join(f"{name}: {error}" for name, error in failures.items())
    refused = any(isinstance(error, ModelError) for error in failures.values())
    kind = ModelError if refused else BackendUnavailable
    return kind(f"no backend runs {file.path.name}: {reasons}")


def _cpu_backends(config: ModelConfig) -> list[CpuBackend]:
    if config.backend == "openvino":
        return ["openvino"]
    other = config.backend == "auto" and package_version("openvino") is not None
    return ["onnxruntime", "openvino"] if other else ["onnxruntime"]
