"""Pictures of another size, fitted into the size a video has."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.ops.planes import NEUTRAL
from edgeseg.types import U8, ColorSpace, Planes, Size


def letterbox(planes: Planes, size: Size, color: ColorSpace) -> Planes:
    """Returns a picture scaled into ``size`` with its shape kept and black bars around it.

    Bars are transparent where the picture has alpha. A picture of that size is returned as it is.
    """
    if planes.size == size:
        return planes
    scale = min(size.width / planes.size.width, size.height / planes.size.height)
    inner = Size(
        min(max(round(planes.size.width * scale), 1), size.width),
        min(max(round(planes.size.height * scale), 1), size.height),
    )
    # even offsets, so that chroma bars end where luma bars end
    left, top = (size.width - inner.width) // 4 * 2, (size.height - inner.height) // 4 * 2
    out = Planes.empty(size, alpha=planes.a is not None)
    _inset(planes.y, out.y, inner, left, top, bar=0 if color.full_range else 16)
    for source, target in ((planes.u, out.u), (planes.v, out.v)):
        _inset(source, target, inner.chroma, left // 2, top // 2, bar=NEUTRAL)
    if planes.a is not None and out.a is not None:
        _inset(planes.a, out.a, inner, left, top, bar=0)
    return out


def _inset(source: U8, target: U8, inner: Size, left: int, top: int, *, bar: int) -> None:
    target[...] = bar
    shrinks = inner.width < source.shape[1]
    target[top : top + inner.height, left : left + inner.width] = cv2.resize(
        src=np.asarray(source),
        dsize=tuple(inner),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
