"""INT8 engines: which file a version gets, by which flags, and from where."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from engine_kit import driver_of, install, request_of, tiny
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import embed

from edgeseg.engine.build import ensure_engine
from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile, load_model, variant_path, without_metadata
from edgeseg.spec import Build, Variant


def write_variant(model: ModelFile, variant: Variant, *, zero: int = 0) -> ModelFile:
    """Writes an INT8 file beside a tiny model: Q and DQ before its convolution."""
    half = variant == "int8-trt16"
    loaded = onnx.version_converter.convert_version(onnx.load_from_string(model.data), 19)
    kind, number = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    nodes = loaded.graph.node
    conv = next(index for index, node in enumerate(nodes) if node.op_type == "Conv")
    pixels = nodes[conv].input[0]
    nodes[conv].input[0] = "dequantised"
    quantisers = ("QuantizeLinear", pixels, "levels"), ("DequantizeLinear", "levels", "dequantised")
    for index, (operator, source, target) in enumerate(quantisers):
        node = helper.make_node(operator, [source, "scale", "zero_point"], [target], name=operator)
        nodes.insert(conv + index, node)
    weights = {"scale": number(2.0), "zero_point": np.int8(zero)}
    for value in loaded.graph.initializer:
        if numpy_helper.to_array(value).dtype == np.float32:
            array = numpy_helper.to_array(value).astype(number)
            value.CopyFrom(numpy_helper.from_array(array, value.name))
    loaded.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()
    )
    if half:
        nodes[0].attribute[0].i = kind
        nodes[-1].output[0] = "half"
        nodes.append(helper.make_node("Cast", ["half"], ["person"], to=TensorProto.FLOAT))
    del loaded.graph.value_info[:]
    del loaded.metadata_props[:]
    loaded.ir_version = 9
    build = Build(variant=variant, source_sha256=model.sha256)
    recipe = model.spec.model_copy(update={"precision": "int8", "build": build})
    path = variant_path(model, variant, model.path.parent)
    path.write_bytes(embed(loaded, recipe).SerializeToString())
    return load_model(path)


@pytest.mark.parametrize(
    ("version", "typing", "variant", "flags"),
    [
        ("8.6.1", None, "int8-trt", ["INT8", "FP16"]),
        ("10.3.0", "weak", "int8-trt", ["INT8", "FP16"]),
        ("10.3.0", None, "int8-trt16", []),
        ("11.4.0.106", None, "int8-trt16", []),
    ],
)
def test_the_file_follows_the_typing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    version: str,
    typing: str | None,
    variant: Variant,
    flags: list[str],
) -> None:
    install(monkeypatch, version)
    model = tiny(tmp_path)
    made_of = write_variant(model, variant)
    request = request_of(version, tmp_path, precision="int8", typing=typing)
    made = ensure_engine(model, request, driver=driver_of())
    wanted = made.manifest.wanted
    assert (wanted.variant, wanted.origin) == (variant, graph_of(made_of))
    assert wanted.model_sha256 == model.sha256
    assert made.manifest.flags == flags
    assert made.manifest.onnx_sha256 == made_of.sha256
    assert not ensure_engine(model, request, driver=driver_of()).built


def graph_of(file: ModelFile) -> str:
    return hashlib.sha256(without_metadata(file.data)).hexdigest()


def test_a_file_calibrated_anew_builds_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "8.6.1")
    model = tiny(tmp_path)
    request = request_of("8.6.1", tmp_path, precision="int8")
    made_of = write_variant(model, "int8-trt")
    ensure_engine(model, request, driver=driver_of())
    made_of.path.write_bytes(made_of.data + b"\x72\x00")  # a metadata entry more: a gate's record
    assert not ensure_engine(model, request, driver=driver_of()).built
    made_of.path.write_bytes(made_of.data + b"\x12\x01x")  # another field
    again = ensure_engine(model, request, driver=driver_of())
    assert again.reason == "was built from another int8-trt file than there is now"


def test_a_variant_can_be_named_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "8.6.1")
    named = write_variant(tiny(tmp_path), "int8-trt")
    request = request_of("8.6.1", tmp_path, precision="int8")
    made = ensure_engine(named, request, driver=driver_of())
    wanted = made.manifest.wanted
    assert (wanted.variant, wanted.origin) == ("int8-trt", graph_of(named))


def test_an_asymmetric_file_is_refused_by_the_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "11.4.0.106")
    model = tiny(tmp_path)
    write_variant(model, "int8-trt16", zero=3)
    request = request_of("11.4.0.106", tmp_path, precision="int8")
    with pytest.raises(ModelError, match=r"does not take node 'QuantizeLinear' .*shiftIsAllZeros"):
        ensure_engine(model, request, driver=driver_of())
