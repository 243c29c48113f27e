"""edgeseg: real-time segmentation of live and recorded video on edge devices.

    import cv2, edgeseg

    portrait = edgeseg.open_segmenter("portrait")
    picture = cv2.imread("me.jpg")
    matte = portrait.segment(edgeseg.frame_from_bgr(picture)).person  # float32 [h, w], 0..1

    instances = edgeseg.open_segmenter("instances")
    found = instances.segment(edgeseg.frame_from_bgr(picture))
    print([found.label_set.names[n] for n in found.labels], found.boxes_xyxy)  # frame pixels

    driving = edgeseg.open_segmenter("driving")
    street = driving.segment(edgeseg.frame_from_bgr(picture))
    labels = edgeseg.label_map(street)  # uint8 [H, W] at the picture's size; of any result

Importing the package loads neither OpenCV nor a network runtime: names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeseg.api import frame_from_bgr as frame_from_bgr
    from edgeseg.api import open_segmenter as open_segmenter
    from edgeseg.api import run as run
    from edgeseg.config import RunConfig as RunConfig
    from edgeseg.errors import BackendUnavailable as BackendUnavailable
    from edgeseg.errors import ConfigError as ConfigError
    from edgeseg.errors import EdgesegError as EdgesegError
    from edgeseg.errors import ModelError as ModelError
    from edgeseg.errors import SinkError as SinkError
    from edgeseg.errors import SourceError as SourceError
    from edgeseg.ops.labels import label_map as label_map
    from edgeseg.spec import ModelSpec as ModelSpec
    from edgeseg.types import Frame as Frame
    from edgeseg.types import Instances as Instances
    from edgeseg.types import Matte as Matte
    from edgeseg.types import Planes as Planes
    from edgeseg.types import SemanticMap as SemanticMap
    from edgeseg.types import Size as Size

__version__ = "0.1.0"

_HOMES = {
    "BackendUnavailable": "errors",
    "ConfigError": "errors",
    "EdgesegError": "errors",
    "Frame": "types",
    "Instances": "types",
    "Matte": "types",
    "ModelError": "errors",
    "ModelSpec": "spec",
    "Planes": "types",
    "RunConfig": "config",
    "SemanticMap": "types",
    "SinkError": "errors",
    "Size": "types",
    "SourceError": "errors",
    "frame_from_bgr": "api",
    "label_map": "ops.labels",
    "open_segmenter": "api",
    "run": "api",
}

__all__ = [
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeseg' has no attribute {name!r}")
    return getattr(import_module(f"edgeseg.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
