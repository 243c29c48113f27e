"""FP32 graphs ready to be converted: weights as plain float32 initialisers, constants folded.

Shipped files keep large weights in float16 with a Cast each, exporters leave Constant nodes and
shape arithmetic, foreign files batch normalisations. ONNX Runtime's basic optimisation folds all
of these; what remains is the network's operators under the names they had.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import disk_usage

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgeseg.errors import ModelError, SinkRefused
from edgeseg.model_file import ModelFile, without_initialiser_inputs
from edgeseg.precision.network import Network, attribute
from edgeseg.precision.session import open_session, signal_to_noise_db
from edgeseg.spec import ModelSpec, one_line

DOMAINS = ("", "ai.onnx")
"""Names of ONNX's own operators' domain."""
OPSET = 13
"""The least opset a file is brought to: QuantizeLinear has an axis from here on."""
CENTRED_RESIZE = 11
"""Opset from which a Resize says where pixels are; converters forget that they lay at corners."""
SAME_DB = 60.0
"""Signal to noise from which two graphs compute the same."""


def fp32_graph(model: ModelFile) -> onnx.ModelProto:
    """Returns a model's graph with what is constant in it folded; inputs and outputs unchanged.

    Every node has a unique name, the same each time; shapes are known and of one picture. The
    metadata is empty.

    Raises ModelError when the file is no FP32 model or has operators that are not ONNX's own, and
    SinkRefused where temporary files have no room.
    """
    where = str(model.path)
    if model.spec.precision != "fp32":
        raise ModelError(f"{where}: has precision {model.spec.precision}, expected an fp32 model")
    graph = onnx.load_from_string(without_initialiser_inputs(model.data, where=where))
    _fix_input_shape(graph, model.spec)
    graph = _optimised(_modern(graph, model, where), where)
    _drop_foreign_domains(graph, where)
    _name_nodes(graph)
    _pool_by_name(graph)
    del graph.metadata_props[:]
    del graph.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(graph, data_prop=True)


def _fix_input_shape(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Gives free axes of the picture the sizes of the recipe."""
    for info in model.graph.input:
        if info.name != spec.input.name:
            continue
        for dim, side in zip(info.type.tensor_type.shape.dim, spec.input.shape, strict=False):
            dim.dim_value = side


def _modern(graph: onnx.ModelProto, model: ModelFile, where: str) -> onnx.ModelProto:
    """Returns the model in an opset that a quantised one can have, computing what it did."""
    before = opset_of(graph)
    if before >= OPSET:
        return graph
    moved = in_opset(graph, OPSET, where)
    if before < CENTRED_RESIZE:
        _resize_as_before(moved)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, model.spec.input.shape).astype(model.spec.input.dtype)
    runs = [
        open_session(one.SerializeToString(), where).run(None, {model.spec.input.name: picture})
        for one in (graph, moved)
    ]
    if any(signal_to_noise_db(one, other) < SAME_DB for one, other in zip(*runs, strict=True)):
        raise ModelError(
            f"{where}: computes something else once brought from opset {before} to {OPSET}; "
            f"export it again with opset {OPSET} or later"
        )
    return moved


def _resize_as_before(model: onnx.ModelProto) -> None:
    """Has enlargements start at the corner, as all did before it could be said where."""
    for node in model.graph.node:
        if node.op_type != "Resize":
            continue
        old = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        kept = [item for item in node.attribute if item.name not in old]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(*pair) for pair in old.items())])


def opset_of(model: onnx.ModelProto) -> int:
    """Returns the version of ONNX's own operators that a model uses."""
    return max((o.version for o in model.opset_import if o.domain in DOMAINS), default=0)


def in_opset(model: onnx.ModelProto, opset: int, where: str) -> onnx.ModelProto:
    """Returns the model in this opset, or as it is in a later one.

    Raises ModelError where onnx cannot convert it.
    """
    if opset_of(model) >= opset:
        return model
    try:
        return onnx.version_converter.convert_version(model, opset)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{where}: cannot be brought to opset {opset}: {one_line(error)}; "
            f"export it again with opset {opset} or later"
        ) from error


def _optimised(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder) / "optimised.onnx", model.SerializeToString()
        try:
            open_session(data, where, basic_to=path)
        except ModelError as error:
            if disk_usage(folder).free > len(data):
                raise
            raise SinkRefused(
                f"{tempfile.gettempdir()}: no room for a copy of {where} "
                f"({len(data) / 1e6:.1f} MB); free some space there"
            ) from error
        return onnx.load(path)


def _drop_foreign_domains(model: onnx.ModelProto, where: str) -> None:
    foreign = sorted({n.op_type for n in model.graph.node if n.domain not in DOMAINS})
    if foreign:
        raise ModelError(
            f"{where}: has operators outside ONNX ({', '.join(foreign)}); "
            "only plain ONNX networks can be converted"
        )
    own = [entry for entry in model.opset_import if entry.domain in DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(own)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Gives nodes without a name, or with another's, one made of what they compute."""
    taken: set[str] = set()
    for node in model.graph.node:
        wanted = node.name or f"{node.op_type}:{node.output[0]}"
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        node.name = name
        taken.add(name)


def _pool_by_name(model: onnx.ModelProto) -> None:
    """Writes a mean over height and width as the pooling it is: runtimes have an INT8 kernel."""
    network = Network(model)
    for node in network.nodes:
        if node.op_type != "ReduceMean" or not attribute(node, "keepdims", 1):
            continue
        axes = attribute(node, "axes", None)
        if axes is None and len(node.input) > 1:
            axes = network.constants.get(node.input[1], np.empty(0)).tolist()
        if sorted(axes or ()) not in ([2, 3], [-2, -1]) or not _is_picture(model, node.input[0]):
            continue
        node.CopyFrom(
            helper.make_node("GlobalAveragePool", [node.input[0]], [node.output[0]], name=node.name)
        )


def _is_picture(model: onnx.ModelProto, tensor: str) -> bool:
    """Whether a tensor is float32 of four axes."""
    inferred = Network(onnx.shape_inference.infer_shapes(model))
    shape = inferred.shape(tensor)
    return inferred.dtype(tensor) == TensorProto.FLOAT and shape is not None and len(shape) == 4
