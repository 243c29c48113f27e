"""ONNX Runtime with TensorRT below it: the provider of its GPU build, and NVIDIA's plug-in for RTX.

They take what TensorRT can run and leave the rest to other providers; ``onnxruntime-tensorrt`` to
CUDA, ``onnxruntime-rtx`` to the CPU. Neither has run on a GPU yet: options and names are those of
ONNX Runtime 1.31 and of the plug-in's version 0.5, whose errors without a GPU were seen.
"""

from __future__ import annotations

import importlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeseg.backends.options import BackendOptions
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.ort_gpu import load_cuda_libraries
from edgeseg.backends.ort_session import (
    Provider,
    check_available,
    import_ort,
    ort_errors,
    reason,
)
from edgeseg.backends.remembered import cache_folder
from edgeseg.backends.variant import file_to_run
from edgeseg.errors import BackendUnavailable, ConfigError
from edgeseg.model_file import ModelFile
from edgeseg.spec import one_line

log = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
TENSORRT_INSTALL = "'edgeseg[gpu]' 'tensorrt-cu13<11'"
"""PyPI's builds of ONNX Runtime, up to 1.31 at least, load the libraries of TensorRT 10 only."""
CACHE = "onnxruntime-tensorrt"
RTX = "NvTensorRTRTXExecutionProvider"
RTX_MODULE = "onnxruntime_ep_nv_tensorrt_rtx"
RTX_INSTALL = "pip install onnxruntime-ep-nv-tensorrt-rtx-cu13 (with onnxruntime 1.24 or newer)"


def open_ort_tensorrt(model: ModelFile, options: BackendOptions) -> OrtBackend:
    """Opens a model in ONNX Runtime's TensorRT provider; engines are kept in the cache folder.

    Raises BackendUnavailable, ConfigError, ModelError.
    """
    file = file_to_run(model, options.precision, int8="int8-trt")
    providers = (
        Provider(TENSORRT, tensorrt_options(options), TENSORRT_INSTALL),
        Provider(CUDA, {"device_id": str(options.gpu)}, TENSORRT_INSTALL),
    )
    check_available(import_ort(), providers)
    load_cuda_libraries()
    with suppress(ImportError, OSError):
        importlib.import_module("tensorrt")  # its package loads the libraries the provider needs
    folder = cache_folder(CACHE)
    if folder is None or not any(Path(folder).glob("*.engine")):
        log.warning("TensorRT builds an engine at the first start: this may take minutes")
    return OrtBackend(
        file,
        threads=options.threads,
        providers=providers,
        name="onnxruntime-tensorrt",
        device="cuda" if options.dla is None else f"dla:{options.dla}",
    )


def tensorrt_options(options: BackendOptions) -> dict[str, str]:
    """Returns the TensorRT provider's options. Raises ConfigError for a DLA in FP32."""
    reduced = options.precision != "fp32"
    chosen = {
        "device_id": str(options.gpu),
        "trt_fp16_enable": str(int(reduced)),
        "trt_int8_enable": str(int(options.precision == "int8")),
    }
    cache = cache_folder(CACHE)
    if cache is not None:
        chosen |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": cache,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": cache,
        }
    if options.dla is not None:
        if options.precision != "fp16":
            raise ConfigError(
                f"model.dla: a DLA computes in fp16 here, got {options.precision}: --precision fp16"
            )
        chosen |= {"trt_dla_enable": "1", "trt_dla_core": str(options.dla)}
    return chosen


def open_ort_rtx(model: ModelFile, options: BackendOptions) -> OrtBackend:
    """Opens a model in NVIDIA's TensorRT-RTX plug-in. Raises BackendUnavailable, ModelError."""
    if options.dla is not None:
        raise ConfigError("model.dla: onnxruntime-rtx runs on the GPU; use --backend tensorrt")
    file = file_to_run(model, options.precision, int8="int8-trt16")
    ort = import_ort()
    devices = rtx_devices(ort)
    if options.gpu >= len(devices):
        raise BackendUnavailable(
            f"onnxruntime-rtx: no GPU {options.gpu}: the plug-in sees {len(devices)} RTX GPU(s) "
            "(GeForce RTX 30 or newer); use --backend onnxruntime"
        )
    cache = cache_folder("onnxruntime-rtx")
    chosen = {} if cache is None else {"nv_runtime_cache_path": cache}
    return OrtBackend(
        file,
        threads=options.threads,
        providers=(Provider(RTX, chosen, devices=(devices[options.gpu],)),),
        name="onnxruntime-rtx",
        device="cuda",
    )


def rtx_devices(ort: Any) -> list[Any]:
    """Registers the plug-in, once, and returns the devices it can use.

    Raises BackendUnavailable when it is not installed, does not load, or ONNX Runtime is too old.
    """
    if not hasattr(ort, "register_execution_provider_library"):
        raise BackendUnavailable(
            f"onnxruntime {ort.__version__} takes no plug-ins: pip install 'onnxruntime>=1.24'"
        )
    try:
        plugin = importlib.import_module(RTX_MODULE)
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"onnxruntime-rtx is not usable here: {one_line(error)}; {RTX_INSTALL}"
        ) from error
    found = _devices_of(ort, RTX)
    if found:
        return found
    try:
        ort.register_execution_provider_library(RTX, plugin.get_library_path())
    except ort_errors() as error:
        raise BackendUnavailable(f"onnxruntime-rtx does not load: {reason(error)}") from error
    return _devices_of(ort, RTX)


def _devices_of(ort: Any, name: str) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name == name]
