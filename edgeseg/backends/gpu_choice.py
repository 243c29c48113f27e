"""GPU backends: which can run here, and opening one."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable

import numpy as np

from edgeseg.backends.opening import CPU_BACKENDS, open_backend
from edgeseg.backends.options import BackendOptions
from edgeseg.backends.timing import call_ms
from edgeseg.backends.tuning import Tuning
from edgeseg.backends.variant import build_command, gate_passed
from edgeseg.config import ModelConfig
from edgeseg.device import package_version
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.model_file import ModelFile, load_variant
from edgeseg.protocols import Backend
from edgeseg.spec import Precision

log = logging.getLogger(__name__)

LANES = 2
"""Frames on the GPU at once: one is copied while another one is computed."""
TIMED_CALLS = 5


def usable_gpu_backends() -> list[str]:
    """Returns the GPU backends whose packages are here, the faster first; none without a GPU."""
    return [name for name, installed in _INSTALLED.items() if installed()] if has_gpu() else []


def has_gpu() -> bool:
    """Says whether an NVIDIA driver with a GPU is here; loads nothing else."""
    from edgeseg.cuda.libcuda import gpus

    return bool(gpus())


def _tensorrt_installed() -> bool:
    spec = importlib.util.find_spec("tensorrt")
    return spec is not None and spec.origin is not None  # no mere folder of that name


def _ort_has_cuda() -> bool:
    from edgeseg.backends.ort_session import BOTH_BUILDS, import_ort

    try:
        found = "CUDAExecutionProvider" in import_ort().get_available_providers()
    except BackendUnavailable:
        return False
    if not found and package_version("onnxruntime-gpu") is not None:
        log.warning("%s", BOTH_BUILDS)
    return found


_INSTALLED: dict[str, Callable[[], bool]] = {
    "tensorrt": _tensorrt_installed,
    "onnxruntime-cuda": _ort_has_cuda,
}


def engine_to_build(model: ModelFile, config: ModelConfig) -> str:
    """Returns how to get the TensorRT engine of a model if it is still to be built, "" if not.

    A build takes minutes: ``auto`` does not start one unasked. Raises BackendUnavailable,
    ModelError, ConfigError where TensorRT could not run the model anyway.
    """
    from edgeseg.backends.trt import request_for
    from edgeseg.cuda.opening import choose_gpu
    from edgeseg.engine.build import has_engine

    options = _options(model, config)
    if has_engine(model, request_for(options, rtx=False), choose_gpu(options.gpu)):
        return ""
    precision = "fp16" if _half_untried(model, config) else options.precision
    return _command(model, precision, "tensorrt", config)


def _half_untried(model: ModelFile, config: ModelConfig) -> bool:
    """Says whether FP32 runs only because nobody made an FP16 file, which GPUs are made for."""
    undecided = config.precision == "auto" and model.spec.precision == "fp32"
    return undecided and config.dla is None and _half(model) is None


def _command(model: ModelFile, precision: Precision, kind: str, config: ModelConfig) -> str:
    gpu = f" --gpu {config.gpu}" if config.gpu else ""
    return f"{build_command(model, precision)} --backend {kind}{gpu}"


def open_on_gpu(model: ModelFile, config: ModelConfig, kind: str) -> tuple[Backend, Tuning]:
    """Opens a model on a GPU, runs it once and times a few calls.

    Raises BackendUnavailable, ModelError, ConfigError.
    """
    options = _options(model, config)
    if kind == config.backend and _half_untried(model, config):
        log.warning("runs in FP32; FP16 is faster: %s", _command(model, "fp16", kind, config))
    backend = open_backend(model, kind=kind, options=options)
    try:
        backend.warm_up()
        picture = model.spec.input
        grey = {picture.name: np.full(picture.shape, 128, picture.dtype)}
        network_ms = min(call_ms(backend, grey) for _ in range(TIMED_CALLS))
    except BaseException:
        backend.close()
        raise
    return backend, Tuning(options.threads, options.workers, options.graph_level, network_ms)


def _options(model: ModelFile, config: ModelConfig) -> BackendOptions:
    return BackendOptions(
        threads=config.threads or 1,
        workers=config.workers or LANES,
        precision=gpu_precision(model) if config.precision == "auto" else config.precision,
        gpu=config.gpu,
        dla=config.dla,
        cuda=config.cuda,
        rebuild=config.rebuild,
    )


def gpu_precision(model: ModelFile) -> Precision:
    """Returns FP16 for a model with an FP16 file found accurate enough, and not slower on a GPU.

    INT8 only where it is asked for: on a GPU it is not timed against FP16 at every start.
    """
    if model.spec.precision != "fp32":
        return model.spec.precision
    half = _half(model)
    return "fp16" if half is not None and gate_passed(half) and not _slow(half) else "fp32"


def _slow(file: ModelFile) -> bool:
    """Says whether a file was found not faster than FP32, on a GPU: CPUs say nothing of that."""
    gate = file.spec.build.gate if file.spec.build else {}
    timed = gate.get("speed")
    backend = str(timed.get("backend", "")) if isinstance(timed, dict) else ""
    on_gpu = backend != "" and backend.split()[0] not in CPU_BACKENDS
    return on_gpu and gate.get("faster") is False


def _half(model: ModelFile) -> ModelFile | None:
    """Returns a model's FP16 file, None where there is none or it is damaged."""
    try:
        return load_variant(model, "fp16")
    except ModelError:
        return None
