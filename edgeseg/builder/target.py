"""Which files and engines a backend needs for a precision."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from edgeseg.backends.gpu_choice import has_gpu
from edgeseg.builder.options import BuildOptions
from edgeseg.config import BackendName
from edgeseg.errors import BackendUnavailable
from edgeseg.spec import Precision, Variant

ENGINES: dict[BackendName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Backends that run engines, and the package that builds them."""
_TENSORRT: tuple[BackendName, ...] = (*ENGINES, "onnxruntime-tensorrt", "onnxruntime-rtx")
NEEDS_ONNX = "converting a model needs the onnx package: pip install 'edgeseg[build]'"


@dataclass(frozen=True, slots=True)
class Target:
    """backend: the one that will run it. variants: files to make, the first one is scored.

    engine: whether a TensorRT engine is built from them.
    """

    backend: BackendName
    precision: Precision
    variants: tuple[Variant, ...]
    engine: bool

    @property
    def on_gpu(self) -> bool:
        """Says whether it runs on a GPU, through files that are searched for by the backend."""
        return self.backend not in ("onnxruntime", "openvino")


def target_for(options: BuildOptions) -> Target:
    """Returns what to make."""
    backend = _present() if options.backend == "auto" else options.backend
    return Target(
        backend, options.precision, _variants(backend, options.precision), backend in ENGINES
    )


def _variants(backend: BackendName, precision: Precision) -> tuple[Variant, ...]:
    if precision == "fp32":
        return ()
    if precision == "fp16":
        return ("fp16",)
    # Which of the two a TensorRT takes depends on its version; both come from one calibration.
    return ("int8-trt", "int8-trt16") if backend in _TENSORRT else ("int8",)


def require_device(target: Target, gpu: int) -> None:
    """Raises BackendUnavailable where the backend cannot run here, before anything takes long."""
    if target.on_gpu:
        from edgeseg.cuda.opening import choose_gpu

        choose_gpu(gpu)
    if target.engine:
        from edgeseg.engine.library import load_library

        load_library(target.backend)
    if target.backend == "openvino":
        from edgeseg.backends.openvino import import_openvino

        import_openvino()


def require_onnx() -> None:
    """Raises BackendUnavailable where the onnx package is missing."""
    if find_spec("onnx") is None:
        raise BackendUnavailable(NEEDS_ONNX)


def _present() -> BackendName:
    """Returns the backend ``auto`` stands for: an engine where it can be built, else CPU."""
    if not has_gpu():
        return "onnxruntime"
    return next((name for name, package in ENGINES.items() if find_spec(package)), "onnxruntime")
