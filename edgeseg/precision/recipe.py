"""The recipe inside a file, replaced where all else stays."""

from __future__ import annotations

import onnx

from edgeseg.spec import METADATA_KEY, ModelSpec


def replace_recipe(data: bytes, spec: ModelSpec) -> bytes:
    """Returns an ONNX file with another recipe in its metadata; what else is there stays."""
    model = onnx.load_from_string(data)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    kept.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=spec.to_json()))
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    out: bytes = model.SerializeToString()
    return out
