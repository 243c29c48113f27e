"""Frame planes to a network's input: shrink, convert colour at network size, lay out, normalise."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edgeseg.ops.planes import yuv_to_rgb_matrix
from edgeseg.protocols import Tensor
from edgeseg.spec import InputSpec, Triple
from edgeseg.types import F32, U8, ColorSpace, Frame, Geometry, Planes, Rect, Size

LETTERBOX_GREY = 114
"""RGB level of letterbox bars; the neutral padding most detectors and segmenters train with."""


def network_input(frame: Frame, spec: InputSpec) -> tuple[Tensor, Geometry]:
    """Returns the tensor a network takes, of ``spec.shape`` and ``spec.dtype``, and where it lies.

    The tensor is new, contiguous and owned by the caller. Thread-safe.
    """
    geometry = fit(frame.size, spec)
    pixels = _network_picture(frame.planes, frame.color, geometry, bgr=spec.order == "bgr")
    return _lay_out(pixels, spec), geometry


def fit(frame: Size, spec: InputSpec) -> Geometry:
    """Returns where a frame of this size lies in the network's input."""
    network = spec.size
    if spec.fit == "stretch":
        return Geometry(frame, network, Rect(0, 0, network.width, network.height))
    scale = min(network.width / frame.width, network.height / frame.height)
    width = min(max(round(frame.width * scale), 1), network.width)
    height = min(max(round(frame.height * scale), 1), network.height)
    left, top = (network.width - width) // 2, (network.height - height) // 2
    return Geometry(frame, network, Rect(left, top, left + width, top + height))


def shrink(plane: U8, size: Size, *, ratio: int = 2) -> U8:
    """Resizes uint8 [H, W] or [H, W, C] to ``size`` without aliasing; may return the input itself.

    Axes are halved while they are at least ``ratio`` times too long (exact means of pixel pairs),
    and the rest, a factor below that or an enlargement, is bilinear; above 2 it aliases a little.
    Measured 720p -> 256x256, one plane: 0.08 ms, against 1.25 ms for INTER_AREA in one step and
    0.06 ms for aliased INTER_LINEAR.
    """
    height, width = plane.shape[:2]
    wide, high = ratio * size.width, ratio * size.height
    while width >= wide or height >= high:
        width = width // 2 if width >= wide else width
        height = height // 2 if height >= high else height
        plane = cv2.resize(src=plane, dsize=(width, height), interpolation=cv2.INTER_LINEAR)
    if (width, height) == tuple(size):
        return plane
    out: U8 = cv2.resize(src=plane, dsize=tuple(size), interpolation=cv2.INTER_LINEAR)
    return out


def _network_picture(planes: Planes, color: ColorSpace, geometry: Geometry, *, bgr: bool) -> U8:
    """Returns uint8 [h, w, 3] at network size, letterbox bars filled."""
    box, network = geometry.content, geometry.network
    content = Size(box.right - box.left, box.bottom - box.top)
    # U and V are smooth: measured, networks give the same masks, for 0.1 ms less at 720p.
    u, v = (shrink(plane, content, ratio=3) for plane in (planes.u, planes.v))
    yuv = cv2.merge(mv=[shrink(planes.y, content), u, v])
    converted: U8 = cv2.transform(src=yuv, m=yuv_to_rgb_matrix(color, bgr=bgr))
    if content == network:
        return converted
    padded = np.full((network.height, network.width, 3), LETTERBOX_GREY, np.uint8)
    padded[box.top : box.bottom, box.left : box.right] = converted
    return padded


def _lay_out(pixels: U8, spec: InputSpec) -> Tensor:
    """Turns uint8 [h, w, 3] into the tensor; a table look-up normalises exactly in one pass."""
    if spec.layout == "nhwc":
        if spec.dtype == "uint8":
            return pixels[None]
        table = _normalisation(spec.mean, spec.std)
        normalised: F32 = cv2.LUT(src=pixels, lut=table)
        return normalised[None]
    out = np.empty(spec.shape, spec.dtype)
    for channel, plane in enumerate(cv2.split(pixels)):
        if spec.dtype == "uint8":
            out[0, channel] = plane
        else:
            table = _normalisation(spec.mean, spec.std)
            out[0, channel] = cv2.LUT(src=plane, lut=np.ascontiguousarray(table[:, :, channel]))
    return out


@lru_cache(maxsize=16)
def _normalisation(mean: Triple, std: Triple) -> F32:
    """Returns float32 [256, 1, 3]: ``(level - mean) / std`` per channel."""
    levels = np.arange(256, dtype=np.float64)[:, None]
    table: F32 = ((levels - np.array(mean)) / np.array(std)).astype(np.float32)
    return np.ascontiguousarray(table[:, None, :])
