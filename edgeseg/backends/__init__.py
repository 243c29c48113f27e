"""Inference backends: one class per file behind the Backend protocol."""

from __future__ import annotations

from collections.abc import Callable

from edgeseg.backends.ort import GraphLevel, OrtBackend
from edgeseg.backends.tuning import Tuning, autotune
from edgeseg.errors import BackendUnavailable, ConfigError, EdgesegError, ModelError, near_match
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend

__all__ = ["BACKENDS", "GraphLevel", "OrtBackend", "Tuning", "autotune", "open_backend"]

BACKENDS: dict[str, Callable[[ModelFile, int, GraphLevel], Backend]] = {
    "onnxruntime": lambda model, threads, level: OrtBackend(
        model, threads=threads, graph_level=level
    ),
}
"""Every backend, in the order ``auto`` tries them."""


def open_backend(
    model: ModelFile, *, kind: str = "auto", threads: int = 1, graph_level: GraphLevel = "all"
) -> Backend:
    """Opens the named backend, or with ``auto`` the first that takes the model.

    Raises:
        ConfigError: no backend of that name.
        BackendUnavailable: it, or each candidate, cannot run here; every reason is listed.
        ModelError: every candidate that can run here refuses the model.
    """
    if kind != "auto" and kind not in BACKENDS:
        known = ["auto", *BACKENDS]
        raise ConfigError(
            f"unknown backend {kind!r}{near_match(kind, known)} (known: {', '.join(known)})"
        )
    failures: dict[str, EdgesegError] = {}
    for name in BACKENDS if kind == "auto" else (kind,):
        try:
            return BACKENDS[name](model, threads, graph_level)
        except (BackendUnavailable, ModelError) as error:
            failures[name] = error
    raise _no_backend(model, failures)


def _no_backend(model: ModelFile, failures: dict[str, EdgesegError]) -> EdgesegError:
    """Returns the one failure there was, or one error that lists them all."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    reasons = "; ".join(f"{name}: {error}" for name, error in failures.items())
    refused = any(isinstance(error, ModelError) for error in failures.values())
    kind = ModelError if refused else BackendUnavailable
    return kind(f"no backend runs {model.path.name}: {reasons}")
