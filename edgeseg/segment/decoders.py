"""Which decoder reads which head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edgeseg.ops.boxes import fast_nms, greedy_nms
from edgeseg.protocols import Tensor
from edgeseg.segment.candidates import yolact_reader, yolo_reader
from edgeseg.segment.instance import MaskRcnnDecoder, PrototypeDecoder
from edgeseg.segment.portrait import PortraitDecoder
from edgeseg.segment.semantic import BinaryDecoder, LabelDecoder, SemanticDecoder
from edgeseg.spec import Head, ModelSpec
from edgeseg.types import Geometry, Result


class Decoder(Protocol):
    """A network's outputs, by name, to a result; thread-safe, without memory of other frames.

    Raises ModelError for outputs that the recipe does not describe.
    """

    def decode(self, outputs: Mapping[str, Tensor], geometry: Geometry) -> Result: ...


def _yolact(spec: ModelSpec, *, threshold: float | None = None) -> Decoder:
    return PrototypeDecoder(
        spec, reader=yolact_reader(spec), suppression=fast_nms, threshold=threshold
    )


def _yolo(spec: ModelSpec, *, threshold: float | None = None) -> Decoder:
    return PrototypeDecoder(
        spec, reader=yolo_reader(spec), suppression=greedy_nms, threshold=threshold
    )


class _MakeDecoder(Protocol):
    def __call__(self, spec: ModelSpec, *, threshold: float | None = None) -> Decoder: ...


DECODERS: dict[Head, _MakeDecoder] = {
    "person": PortraitDecoder,
    "semantic": SemanticDecoder,
    "labels": LabelDecoder,
    "binary": BinaryDecoder,
    "yolact": _yolact,
    "yolo-seg": _yolo,
    "maskrcnn": MaskRcnnDecoder,
}


def decoder_for(spec: ModelSpec, *, threshold: float | None = None) -> Decoder:
    """Returns the decoder of a model's head; threshold: of pixels, None = the model's own."""
    return DECODERS[spec.outputs_as](spec, threshold=threshold)
