"""TensorRT engines of a build."""

from __future__ import annotations

from typing import Any

from edgeseg.builder.bench import Bench


def build_engines(bench: Bench) -> list[dict[str, Any]]:
    """Builds the engine of what was asked for and returns what the report says of it.

    Raises BackendUnavailable without a GPU or TensorRT, ModelError when it cannot be built.
    """
    raise NotImplementedError
