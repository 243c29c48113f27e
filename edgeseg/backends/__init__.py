"""Inference backends: one class per file behind the Backend protocol."""

from edgeseg.backends.choice import Opened, open_network
from edgeseg.backends.opening import BACKENDS, open_backend
from edgeseg.backends.options import BackendOptions, GraphLevel
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.tuning import Candidate, Tuning, autotune

__all__ = [
    "BACKENDS",
    "BackendOptions",
    "Candidate",
    "GraphLevel",
    "Opened",
    "OrtBackend",
    "Tuning",
    "autotune",
    "open_backend",
    "open_network",
]
