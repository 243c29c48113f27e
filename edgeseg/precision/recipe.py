"""The recipe inside a file: written with what a variant was made of, or replaced alone."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

import edgeseg
from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile
from edgeseg.precision.calibration import RANGES_KEY, Calibration
from edgeseg.spec import METADATA_KEY, Build, ModelSpec, Variant


def variant_file(
    graph: onnx.ModelProto,
    model: ModelFile,
    variant: Variant,
    calibration: Calibration | None = None,
    float_layers: Sequence[str] = (),
) -> bytes:
    """Returns the file of a variant: its graph, its recipe and, for INT8, its ranges inside.

    Raises ModelError when the graph is not valid ONNX.
    """
    build = Build(
        variant=variant,
        source_sha256=model.sha256,
        edgeseg=edgeseg.__version__,
        calibration=dict(calibration.data) if calibration else {},
        float_layers=tuple(float_layers),
    )
    precision = "fp16" if variant == "fp16" else "int8"
    spec = model.spec.model_copy(update={"precision": precision, "build": build})
    extra = {RANGES_KEY: calibration.to_metadata()} if calibration else {}
    return with_recipe(graph, spec, extra)


def with_recipe(
    model: onnx.ModelProto, spec: ModelSpec, extra: dict[str, str] | None = None
) -> bytes:
    """Returns the file: the graph with this recipe, and nothing but ``extra``, as its metadata.

    Raises ModelError when the graph is not valid ONNX.
    """
    helper.set_model_props(model, {METADATA_KEY: spec.to_json(), **(extra or {})})
    model.producer_name, model.producer_version = "edgeseg", edgeseg.__version__
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{spec.name}: the converted graph is not valid: {error}") from error
    data: bytes = model.SerializeToString()
    return data


def replace_recipe(data: bytes, spec: ModelSpec) -> bytes:
    """Returns an ONNX file with another recipe in its metadata; what else is there stays."""
    model = onnx.load_from_string(data)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    kept.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=spec.to_json()))
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    out: bytes = model.SerializeToString()
    return out
