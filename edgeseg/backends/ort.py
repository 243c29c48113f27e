"""ONNX Runtime: the backend that runs everywhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np

from edgeseg.backends.options import GraphLevel as GraphLevel
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError, SpecMismatch, near_match
from edgeseg.model_file import ModelFile, mismatches, without_initialiser_inputs
from edgeseg.protocols import BackendInfo, Tensor, TensorInfo
from edgeseg.spec import one_line

log = logging.getLogger(__name__)

GRAPH_LEVELS: tuple[GraphLevel, ...] = get_args(GraphLevel)

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


class OrtBackend:
    """One network in one ONNX Runtime session.

    ``infer`` may be called from several threads at once; each call gets arrays of its own. With
    ``threads`` 1 the network runs in the calling thread.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        threads: int = 1,
        graph_level: GraphLevel = "all",
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        """Loads a model whose recipe was checked by ``load_model``.

        Raises:
            BackendUnavailable: no onnxruntime here, or not the providers asked for.
            ModelError: ONNX Runtime cannot load the graph.
            SpecMismatch: the loaded graph is not what the recipe says.
        """
        self._session = _open_session(model, threads, graph_level, providers)
        self._errors = _ort_errors()
        self._where = str(model.path)
        self._info = BackendInfo(
            name="onnxruntime",
            device=_device_of(providers[0]),
            precision=model.spec.precision,
            threads=threads,
            inputs=tuple(_tensor_info(i) for i in self._session.get_inputs()),
            outputs=tuple(_tensor_info(o) for o in self._session.get_outputs()),
        )
        found = mismatches(model.spec, self._info.inputs, self._info.outputs)
        if found:
            raise SpecMismatch(f"{model.path}: recipe and loaded graph differ: {'; '.join(found)}")
        self._names = [output.name for output in model.spec.outputs]

    @property
    def info(self) -> BackendInfo:
        """What runs the network, and its tensors."""
        return self._info

    def infer(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs the network once and returns the outputs the recipe names.

        Raises ModelError when an input has the wrong name, shape or dtype, or the network fails.
        """
        try:
            values = self._session.run(self._names, inputs)
        except self._errors as error:
            raise ModelError(f"{self._where}: the network failed: {_reason(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def warm_up(self) -> None:
        """Runs the network once on a grey picture, so that the first frame is not the slow one."""
        self.infer(neutral_inputs(self._info))

    def close(self) -> None:
        """Lets the session go; a call still running in another thread finishes first."""
        self._session = None


def neutral_inputs(info: BackendInfo) -> dict[str, Tensor]:
    """Returns one constant tensor per input; free axes become 1, or 64 for height and width."""
    feeds: dict[str, Tensor] = {}
    for tensor in info.inputs:
        free = [1, 64, 64, 64]
        shape = [
            side or free[min(axis, 3) if len(tensor.shape) == 4 else 0]
            for axis, side in enumerate(tensor.shape)
        ]
        value = 128 if tensor.dtype == "uint8" else 0.25
        feeds[tensor.name] = np.full(shape, value, np.dtype(tensor.dtype))
    return feeds


def _open_session(
    model: ModelFile, threads: int, graph_level: GraphLevel, providers: Sequence[str]
) -> Any:
    """Creates a session that runs exactly on ``providers``."""
    ort = _import_ort()
    missing = [p for p in providers if p not in ort.get_available_providers()]
    if missing:
        available = ", ".join(ort.get_available_providers())
        raise BackendUnavailable(
            f"onnxruntime {ort.__version__} has no {', '.join(missing)} (it has {available}); "
            "install the build that does, for example onnxruntime-gpu for CUDAExecutionProvider"
        )
    data = without_initialiser_inputs(model.data, where=str(model.path))
    options = _session_options(ort, model, threads, graph_level)
    try:
        session = ort.InferenceSession(data, options, providers=list(providers))
    except _ort_errors() as error:
        raise ModelError(
            f"{model.path}: onnxruntime {ort.__version__} cannot load it "
            f"(opset {model.graph.opset}, IR {model.graph.ir_version}): {_reason(error)}"
        ) from error
    session.disable_fallback()
    running = session.get_providers()
    if running[: len(providers)] != list(providers):
        raise BackendUnavailable(
            f"asked onnxruntime for {', '.join(providers)}, it runs on {', '.join(running)}"
        )
    log.info("onnxruntime %s: %s, %d thread(s)", ort.__version__, running[0], threads)
    return session


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


def _import_ort() -> Any:
    try:
        with _telemetry_off():
            import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(
            f"onnxruntime is not usable here: {one_line(error)}; pip install onnxruntime"
        ) from error
    return onnxruntime


@contextmanager
def _telemetry_off() -> Iterator[None]:
    """Keeps an ONNX Runtime imported meanwhile from reporting to its maker.

    Since 1.31 its Linux builds, too, keep a device id in the user's cache folder and send usage
    events; they read this variable once, when they are loaded.
    """
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _ort_errors() -> tuple[type[Exception], ...]:
    """Returns ONNX Runtime's exceptions; they share no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type)]
    own = [kind for kind in found if issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)  # its binding raises these for bad dtypes and names


def _reason(error: Exception) -> str:
    """Returns ONNX Runtime's message without its prefix and source locations, on one line."""
    text = one_line(error)
    text = text.rpartition(" : ")[2] if text.startswith("[ONNXRuntimeError]") else text
    return text if len(text) <= 300 else text[:297] + "..."


def _tensor_info(node: Any) -> TensorInfo:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    return TensorInfo(node.name, shape, _DTYPES.get(node.type, node.type))


def _device_of(provider: str) -> str:
    """Returns "cpu" for "CPUExecutionProvider"."""
    return provider.removesuffix("ExecutionProvider").lower()
