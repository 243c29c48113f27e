"""A model on disk: finding it, reading its graph and recipe, checking one against the other."""

from edgeseg.model_file.card import mismatches
from edgeseg.model_file.find import (
    ModelFile,
    find_model,
    load_model,
    pulled_models,
    shipped_models,
)
from edgeseg.model_file.graph import (
    OnnxFile,
    read_onnx,
    without_initialiser_inputs,
    without_metadata,
)
from edgeseg.model_file.suggest import suggest_card
from edgeseg.model_file.variants import (
    VARIANTS,
    builds_of,
    load_variant,
    variant_of,
    variant_path,
    variants_of,
)

__all__ = [
    "VARIANTS",
    "ModelFile",
    "OnnxFile",
    "builds_of",
    "find_model",
    "load_model",
    "load_variant",
    "mismatches",
    "pulled_models",
    "read_onnx",
    "shipped_models",
    "suggest_card",
    "variant_of",
    "variant_path",
    "variants_of",
    "without_initialiser_inputs",
    "without_metadata",
]
