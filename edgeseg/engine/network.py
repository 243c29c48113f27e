"""Which ONNX file an engine is built from, by precision and typing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from edgeseg import __version__
from edgeseg.engine.library import Library
from edgeseg.engine.request import EngineRequest, Typing
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError
from edgeseg.model_file import ModelFile, load_variant, without_metadata
from edgeseg.spec import Variant

CALIBRATE = "edgeseg build --precision int8 --calibration DIR --backend"


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What the parser is to read.

    variant: "fp32" or a spec.Variant. origin: sha256 of the variant's graph, whatever its recipe
    says of it, or of the file it is made from here and by which edgeseg. read: gives the ONNX
    bytes, made now where there is no file.
    """

    variant: str
    origin: str
    read: Callable[[], bytes]


def typing_of(library: Library, request: EngineRequest) -> Typing:
    """Returns how a network is to be typed; raises ConfigError for what this version cannot do.

    Strong where TensorRT has it (10.0 on): then it runs the very types of the file that was scored.
    A DLA takes weakly typed networks as long as there are any (until 10.x).
    """
    strong, weak = library.has(STRONG), library.has("BuilderFlag.FP16")
    wanted = request.typing or ("weak" if request.dla is not None and weak else None)
    if wanted is None:
        return "strong" if strong else "weak"
    if not {"strong": strong, "weak": weak}[wanted]:
        other = "weak" if wanted == "strong" else "strong"
        raise ConfigError(f"{library.title} has no {wanted} typing, only {other}")
    return wanted


STRONG = "NetworkDefinitionCreationFlag.STRONGLY_TYPED"


def network_file(model: ModelFile, request: EngineRequest, typing: Typing) -> NetworkFile:
    """Returns the file to build from; nothing is converted before it is read.

    Raises:
        ConfigError: the model is itself a file of another precision.
        ModelError: there is no INT8 file for TensorRT of this model, or a damaged one.
    """
    if model.spec.precision != "fp32":
        return _given(model, request)
    if request.precision == "int8":
        return _calibrated(model, request, "int8-trt16" if typing == "strong" else "int8-trt")
    if request.precision == "fp16" and typing == "strong":
        found = load_variant(model, "fp16")
        if found is not None:
            return NetworkFile("fp16", _graph_of(found), lambda: found.data)
        return NetworkFile("fp16", _made_here(model), lambda: _make_fp16(model))
    return NetworkFile("fp32", _made_here(model), lambda: _make_fp32(model))


def _given(model: ModelFile, request: EngineRequest) -> NetworkFile:
    """Returns a file of lower precision that the user named himself."""
    variant = model.spec.build.variant if model.spec.build else model.spec.precision
    if model.spec.precision != request.precision:
        raise ConfigError(
            f"{model.path} is an {variant} file: it runs with --precision {model.spec.precision}, "
            f"not {request.precision}"
        )
    if variant == "int8":
        raise ModelError(
            f"{model.path} is an INT8 file for CPUs (uint8 activations); TensorRT needs another, "
            f"made from the FP32 model: {CALIBRATE} {request.library}"
        )
    return NetworkFile(variant, _graph_of(model), lambda: model.data)


def _calibrated(model: ModelFile, request: EngineRequest, variant: Variant) -> NetworkFile:
    found = load_variant(model, variant)
    if found is None:
        raise ModelError(
            f"no {variant} file of {model.name}: INT8 needs calibration pictures: "
            f"{CALIBRATE} {request.library} --model {model.name}"
        )
    return NetworkFile(variant, _graph_of(found), lambda: found.data)


def _graph_of(file: ModelFile) -> str:
    """A gate's record, written into a file once its engine was compared, is no other graph."""
    return hashlib.sha256(without_metadata(file.data)).hexdigest()


def _made_here(model: ModelFile) -> str:
    return f"{model.sha256} by edgeseg {__version__}"


def _make_fp16(model: ModelFile) -> bytes:
    try:
        from edgeseg.precision.fp16 import to_fp16
    except ModuleNotFoundError as error:
        raise _without_onnx("an FP16 file", error) from error
    return to_fp16(model)


def _make_fp32(model: ModelFile) -> bytes:
    """Returns the graph as TensorRT takes it: no casts of weights, no uint8 beyond the input."""
    try:
        from edgeseg.precision.cast_first import cast_first
        from edgeseg.precision.graph import fp32_graph
    except ModuleNotFoundError as error:
        raise _without_onnx("a graph for TensorRT", error) from error
    return bytes(cast_first(fp32_graph(model)).SerializeToString())


def _without_onnx(what: str, error: ModuleNotFoundError) -> BackendUnavailable:
    return BackendUnavailable(
        f"making {what} needs the Python package {error.name}: pip install 'edgeseg[build]'"
    )
