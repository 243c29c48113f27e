"""Every backend by name. Each is imported when it is opened, and not before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgeseg.backends.options import BackendOptions
from edgeseg.errors import ConfigError, near_match
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend

Open = Callable[[ModelFile, BackendOptions], Backend]


def _onnxruntime(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.ort import open_ort

    return open_ort(model, options)


def _openvino(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.openvino import OpenvinoBackend, import_openvino
    from edgeseg.backends.openvino_trial import ensure_works
    from edgeseg.backends.variant import file_for_cpu

    file = file_for_cpu(model, options.precision)
    import_openvino()
    ensure_works(file)
    return OpenvinoBackend(file, threads=options.threads, workers=options.workers)


def _onnxruntime_cuda(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.ort_gpu import open_ort_cuda

    return open_ort_cuda(model, options)


def _onnxruntime_tensorrt(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.ort_providers import open_ort_tensorrt

    return open_ort_tensorrt(model, options)


def _onnxruntime_rtx(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.ort_providers import open_ort_rtx

    return open_ort_rtx(model, options)


def _tensorrt(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.trt import open_tensorrt

    return open_tensorrt(model, options, rtx=False)


def _tensorrt_rtx(model: ModelFile, options: BackendOptions) -> Backend:
    from edgeseg.backends.trt import open_tensorrt

    return open_tensorrt(model, options, rtx=True)


BACKENDS: dict[str, Open] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "onnxruntime-cuda": _onnxruntime_cuda,
    "onnxruntime-tensorrt": _onnxruntime_tensorrt,
    "onnxruntime-rtx": _onnxruntime_rtx,
    "tensorrt": _tensorrt,
    "tensorrt-rtx": _tensorrt_rtx,
}
"""Name -> what opens a model with it; the model is the FP32 one, the precision in the options."""
CPU_BACKENDS = ("onnxruntime", "openvino")


def open_backend(
    model: ModelFile, *, kind: str = "onnxruntime", options: BackendOptions | None = None
) -> Backend:
    """Opens a model with the named backend, in the precision the options ask for.

    Without options: the model's own file, one call at a time in one thread.

    Raises:
        ConfigError: no backend of that name, or the model has no file of that precision.
        BackendUnavailable: the backend cannot run here.
        ModelError: it refuses the model.
    """
    if kind not in BACKENDS:
        known = list(BACKENDS)
        raise ConfigError(
            f"unknown backend {kind!r}{near_match(kind, known)} (known: {', '.join(known)})"
        )
    settled = options or replace(BackendOptions(), precision=model.spec.precision)
    return BACKENDS[kind](model, settled)
