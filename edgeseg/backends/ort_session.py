"""Opening ONNX Runtime sessions, and saying in one line what it objects to."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from edgeseg.backends.options import GraphLevel
from edgeseg.device import package_version
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError, near_match
from edgeseg.model_file import ModelFile, without_initialiser_inputs
from edgeseg.ort_import import import_ort as import_ort
from edgeseg.ort_import import ort_errors as ort_errors
from edgeseg.protocols import TensorInfo
from edgeseg.spec import one_line

log = logging.getLogger(__name__)

GRAPH_LEVELS: tuple[GraphLevel, ...] = get_args(GraphLevel)
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
BOTH_BUILDS = (
    "onnxruntime and onnxruntime-gpu are both installed and overwrote one another: "
    "pip uninstall -y onnxruntime onnxruntime-gpu; pip install 'onnxruntime-gpu[cuda,cudnn]'"
)
_LIBRARIES = {
    "CUDAExecutionProvider": "pip install 'onnxruntime-gpu[cuda,cudnn]'",
    "TensorrtExecutionProvider": "install CUDA, cuDNN and TensorRT of the versions it names",
}

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One of ONNX Runtime's execution providers and its options.

    install: the package that has it. devices: of a plug-in provider, as ``get_ep_devices`` gives
    them; such a provider is chosen by its devices.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    install: str = "onnxruntime"
    devices: Sequence[Any] = ()


CPU_ONLY = (Provider(CPU),)


def open_session(
    model: ModelFile,
    *,
    threads: int,
    graph_level: GraphLevel = "all",
    providers: Sequence[Provider] = CPU_ONLY,
) -> Any:
    """Creates a session that runs on these providers, the first one first.

    ONNX Runtime itself goes on without a provider that fails to start; this does not.

    Raises:
        BackendUnavailable: no onnxruntime here, or not the providers asked for.
        ModelError: ONNX Runtime cannot load the graph.
    """
    ort = import_ort()
    check_available(ort, providers)
    data = without_initialiser_inputs(model.data, where=str(model.path))
    options = _session_options(ort, model, threads, graph_level)
    plugged = [provider for provider in providers if provider.devices]
    for provider in plugged:
        options.add_provider_for_devices(list(provider.devices), dict(provider.options))
    named = [(p.name, dict(p.options)) for p in providers if not p.devices]
    asked = [provider.name for provider in providers]
    try:
        with _quiet(ort, asked):
            session = ort.InferenceSession(
                data, options, providers=[] if plugged else named, enable_fallback=0
            )
    except ort_errors() as error:
        missing = missing_library(ort, asked)
        if missing:
            raise BackendUnavailable(missing) from error
        raise ModelError(
            f"{model.path}: onnxruntime {ort.__version__} cannot load it "
            f"(opset {model.graph.opset}, IR {model.graph.ir_version}): {reason(error)}"
        ) from error
    session.disable_fallback()
    running = session.get_providers()
    if running[: len(asked)] != asked:
        raise BackendUnavailable(
            missing_library(ort, asked)
            or f"asked onnxruntime for {', '.join(asked)}, it runs on {', '.join(running)}"
        )
    log.info("onnxruntime %s: %s, %d thread(s)", ort.__version__, running[0], threads)
    return session


def check_available(ort: Any, providers: Sequence[Provider]) -> None:
    """Raises BackendUnavailable for providers this build of ONNX Runtime does not have."""
    available = ort.get_available_providers()
    missing = [p for p in providers if p.name not in available and not p.devices]
    if missing:
        if CUDA not in available and package_version("onnxruntime-gpu") is not None:
            raise BackendUnavailable(BOTH_BUILDS)
        packages = " ".join(dict.fromkeys(provider.install for provider in missing))
        raise BackendUnavailable(
            f"onnxruntime {ort.__version__} has no {', '.join(p.name for p in missing)} "
            f"(it has {', '.join(available)}); install the build that does: pip install {packages}"
        )


def missing_library(ort: Any, providers: Sequence[str]) -> str:
    """Returns which library keeps providers from loading, and what to do; "" when all load."""
    folder = Path(ort.__file__).parent / "capi"
    for name in providers:
        stem = f"*onnxruntime_providers_{_device_of(name)}"
        for file in (*folder.glob(f"{stem}.so"), *folder.glob(f"{stem}.dll")):
            try:
                ctypes.CDLL(str(file))
            except OSError as error:
                return (
                    f"onnxruntime {ort.__version__} cannot load its {name}: {one_line(error)}; "
                    f"{_LIBRARIES.get(name, 'install what it needs')}"
                )
    return ""


@contextmanager
def _quiet(ort: Any, providers: Sequence[str]) -> Iterator[None]:
    """Keeps ONNX Runtime from writing about providers that do not load: that is raised."""
    if list(providers) == [CPU]:
        yield
        return
    ort.set_default_logger_severity(4)  # fatal
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # warnings, as it is at first


def _device_of(provider: str) -> str:
    """Returns "cuda" for "CUDAExecutionProvider"."""
    return provider.removesuffix("ExecutionProvider").lower()


def _session_options(ort: Any, model: ModelFile, threads: int, graph_level: GraphLevel) -> Any:
    if graph_level not in GRAPH_LEVELS:
        raise ConfigError(
            f"unknown graph level {graph_level!r}{near_match(graph_level, GRAPH_LEVELS)}"
        )
    levels = ort.GraphOptimizationLevel
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: what matters is raised
    options.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
    }[graph_level]
    # Spinning threads burn 29-44 ms of a core after every run (measured), taken from the rest
    # of the pipeline.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(model.path.parent)
    )
    return options


def reason(error: Exception) -> str:
    """Returns ONNX Runtime's message without its prefix and source locations, on one line."""
    text = one_line(error)
    text = text.rpartition(" : ")[2] if text.startswith("[ONNXRuntimeError]") else text
    return text if len(text) <= 300 else text[:297] + "..."


def tensor_info(node: Any) -> TensorInfo:
    """Returns what a session says of one of its inputs or outputs."""
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    return TensorInfo(node.name, shape, _DTYPES.get(node.type, node.type))
