"""Inference and models: what runs them here, and how fast the default one is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from edgeseg import device
from edgeseg.doctor.finding import Finding, load
from edgeseg.meter import NoTimer

RUN_S = 0.5
"""How long the default model is run."""


def inference() -> Iterator[Finding]:
    """Looks at ONNX Runtime and OpenVINO, and at the processor's INT8."""
    ort, found = load("onnxruntime", "inference")
    if ort is None:
        yield found
        return
    providers = [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()]
    yield Finding("inference", "ONNX Runtime", "ok", f"{ort.__version__}: {', '.join(providers)}")
    yield from _one_build()
    if device.gpu_name() and not {"CUDA", "Tensorrt"} & set(providers):
        mend = "pip uninstall -y onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'"
        yield Finding("inference", "GPU", "note", "this ONNX Runtime does not use the GPU", mend)
    yield _openvino()
    yield _int8()


def _one_build() -> Iterator[Finding]:
    """Two builds of ONNX Runtime overwrite one another's files."""
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(builds) > 1:
        detail = f"{' and '.join(builds)} are both installed and overwrite one another"
        mend = f"pip uninstall -y {' '.join(builds)}; pip install 'onnxruntime-gpu[cuda,cudnn]'"
        yield Finding("inference", "builds", "note", detail, mend)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _openvino() -> Finding:
    found = device.package_version("openvino")
    if found is not None:
        return Finding("inference", "OpenVINO", "ok", found)
    detail = "not installed: networks may run faster with it on this processor"
    return Finding("inference", "OpenVINO", "note", detail, "pip install 'edgeseg[openvino]'")


def _int8() -> Finding:
    """Whether INT8 files are worth running on this processor."""
    from edgeseg.backends.choice import FAST_INT8 as INSTRUCTIONS

    if INSTRUCTIONS & device.cpu_flags():
        return Finding("inference", "INT8", "ok", "this processor has instructions for it")
    detail = "this processor has no VNNI or dot-product instructions: INT8 is slow, less accurate"
    return Finding("inference", "INT8", "note", detail, "nothing to do: FP32 is chosen")


def models() -> Iterator[Finding]:
    """Looks for the shipped models and runs the default one."""
    from edgeseg.model_file import shipped_models

    shipped = shipped_models()
    if not shipped:
        mend = "pip install --force-reinstall edgeseg"
        yield Finding("models", "shipped", "missing", "no model files", mend)
        return
    yield Finding("models", "shipped", "ok", ", ".join(shipped))
    yield run_default_model()


def run_default_model() -> Finding:
    """Runs the default model for half a second on a grey 720p picture, conversion included.

    On the processor: what a GPU needs has findings of its own, and takes longer to start.
    """
    from edgeseg.assemble import open_model
    from edgeseg.config import ModelConfig
    from edgeseg.types import Frame, Planes, Size

    loaded = open_model(ModelConfig(backend="onnxruntime"), live=True)
    planes = Planes.empty(Size(1280, 720))
    for plane in (planes.y, planes.u, planes.v):
        plane.fill(128)
    times: list[float] = []
    end = time.perf_counter() + RUN_S
    while time.perf_counter() < end or not times:
        started = time.perf_counter()
        loaded.segmenter.segment(Frame(planes.freeze(), 0, 0.0), NoTimer())
        times.append((time.perf_counter() - started) * 1e3)
    loaded.segmenter.close()
    tuning, middle = loaded.tuning, sorted(times)[len(times) // 2]
    detail = (
        f"{middle:.1f} ms a 720p picture on {loaded.backend} {loaded.device}, "
        f"{tuning.workers} worker(s) of {tuning.threads} thread(s)"
    )
    return Finding("models", loaded.file.name, "ok", detail)
