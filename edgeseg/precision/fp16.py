"""FP16-typed files: what a GPU computes in half precision, stated in the graph."""

from __future__ import annotations

from edgeseg.model_file import ModelFile


def to_fp16(model: ModelFile) -> bytes:
    """Returns a model's FP16-typed file, its recipe inside (``build.variant`` fp16).

    Inputs and outputs keep their names and dtypes. Raises ModelError.
    """
    raise NotImplementedError
