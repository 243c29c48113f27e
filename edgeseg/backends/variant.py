"""The file a backend runs for a precision, with its source's recipe."""

from __future__ import annotations

from dataclasses import replace

from edgeseg.errors import ConfigError, ModelError, SpecMismatch
from edgeseg.model_file import ModelFile, load_variant, pulled_models, shipped_models
from edgeseg.spec import ModelSpec, Precision, Variant

FOR_TENSORRT: tuple[Variant, ...] = ("int8-trt", "int8-trt16")


def file_to_run(model: ModelFile, precision: Precision, *, int8: Variant = "int8") -> ModelFile:
    """Returns the file of a model in a precision; int8: which of its INT8 files.

    Its recipe is the source's, whose card the user may have edited, in that precision.

    Raises:
        ConfigError: there is no such file, or the model is one of another precision itself.
        ModelError: the file is damaged.
        SpecMismatch: the card says other inputs or outputs than the file was made with.
    """
    own = model.spec.precision
    if own == precision:
        return model
    if own != "fp32":
        raise ConfigError(
            f"{model.path.name} is {own} itself: for {precision} name the fp32 file it was made of"
        )
    variant: Variant = "fp16" if precision == "fp16" else int8
    found = load_variant(model, variant)
    if found is None:
        raise ConfigError(
            f"no {precision.upper()} file of {model.name} ({model.path.stem}.{variant}.onnx): "
            f"{build_command(model, precision)}"
        )
    return replace(found, spec=recipe_of(model, found))


def file_for_cpu(model: ModelFile, precision: Precision) -> ModelFile:
    """Returns the file of a model in a precision, for a runtime on the CPU.

    Those for TensorRT are refused: ONNX Runtime 1.31 makes FP16-typed ones wrong (driving scenes:
    22 % of pixels as with FP32, at any optimisation), and the others are slower than FP32.

    Raises as ``file_to_run`` does, and ModelError for a file made for TensorRT.
    """
    file = file_to_run(model, precision)
    build = file.spec.build
    if build is not None and build.variant in FOR_TENSORRT:
        raise ModelError(
            f"{file.path}: is made for TensorRT, on a CPU its masks may be wrong; name the FP32 "
            "model it was made of, with --precision int8"
        )
    return file


def recipe_of(model: ModelFile, variant: ModelFile) -> ModelSpec:
    """Returns the source's recipe for a file made of it: only precision and build are the file's.

    Raises SpecMismatch when the two do not take and give the same tensors.
    """
    ours, theirs = model.spec, variant.spec
    differ = [name for name in ("input", "outputs") if getattr(ours, name) != getattr(theirs, name)]
    if differ or ours.outputs_as != theirs.outputs_as:
        raise SpecMismatch(
            f"{variant.path.name} was built with another {' and '.join(differ) or 'head'} than "
            f"{model.card or model.path} says now: {build_command(model, theirs.precision)}"
        )
    return ours.model_copy(update={"precision": theirs.precision, "build": theirs.build})


def build_command(model: ModelFile, precision: Precision) -> str:
    """Returns the command that makes a model's file of a precision."""
    stem = model.path.stem
    known = {**pulled_models(), **shipped_models()}
    name = stem if known.get(stem) == model.path else str(model.path)
    calibration = " --calibration DIR" if precision == "int8" else ""
    return f"edgeseg build --model {name} --precision {precision}{calibration}"


def gate_passed(file: ModelFile) -> bool:
    """Says whether ``edgeseg build`` found a file as accurate as its source, within its limit."""
    build = file.spec.build
    return build is not None and build.gate.get("passed") is True
