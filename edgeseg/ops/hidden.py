"""Where the chosen classes are, generously, and making what is there unrecognisable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np

from edgeseg.ops.instances import cutoff, object_mask, object_rect
from edgeseg.types import U8, Instances, Matte, Planes, Rect, Result, SemanticMap, Size

How = Literal["pixelate", "blur"]

_CELLS = 6
"""Cells across the shorter side of what is hidden: a face that fills half of it gets three."""
_LEAST = 1 / 45
"""Smallest cell, as a share of the picture's shorter side: heads of people far away get one."""
_DOUBT = 0.5
"""Share of a result's threshold from which a pixel is hidden."""
_MOST = 64
"""Separate pieces up to which each gets cells of its own size; above, all are one piece."""


class Piece(NamedTuple):
    """A part of the U and V planes, and which of its pixels are hidden: uint8 [h, w], 0 or 255."""

    box: Rect
    mask: U8


def pieces(result: Result, numbers: Sequence[int], *, margin: float) -> Iterator[Piece]:
    """Yields what is to be hidden of the classes with these numbers; of a portrait, the person.

    margin: by which everything is grown, as a share of the picture's shorter side.
    """
    if isinstance(result, Instances):
        yield from _objects(result, numbers, margin)
        return
    if isinstance(result, Matte):
        chosen: U8 = (result.person >= np.float32(_DOUBT * result.threshold)).view(np.uint8)
    else:
        table = np.zeros(256, np.uint8)
        table[list(numbers)] = 1
        chosen = cv2.LUT(src=result.labels, lut=table)
    yield from _regions(chosen, result, margin)


def _objects(result: Instances, numbers: Sequence[int], margin: float) -> Iterator[Piece]:
    chroma = result.frame_size.chroma
    grow = math.ceil(margin * min(result.frame_size) / 2)
    level = cutoff(_DOUBT * result.threshold)
    for index in np.flatnonzero(np.isin(result.labels, numbers)):
        rect = object_rect(result, int(index), chroma, step=2)
        if rect is None:
            continue
        box = Rect(
            max(rect.left - grow, 0),
            max(rect.top - grow, 0),
            min(rect.right + grow, chroma.width),
            min(rect.bottom + grow, chroma.height),
        )
        mask = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
        inner = mask[
            rect.top - box.top : rect.bottom - box.top, rect.left - box.left : rect.right - box.left
        ]
        inner[object_mask(result, int(index), rect, step=2) > level] = 255
        yield Piece(box, _grown(mask, grow, grow))


def _regions(chosen: U8, result: Matte | SemanticMap, margin: float) -> Iterator[Piece]:
    """Yields connected regions of a low-resolution mask, at the size of the U and V planes."""
    height, width = chosen.shape
    frame, chroma = result.frame_size, result.frame_size.chroma
    reach = margin * min(frame)
    # One pixel more on every side: the map's own edge is no more exact than that.
    across = math.ceil(reach * width / frame.width) + 1
    down = math.ceil(reach * height / frame.height) + 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        image=_grown(chosen, across, down), connectivity=8, ltype=cv2.CV_32S
    )
    if count > _MOST + 1:
        labels = np.minimum(labels, 1)
        stats = np.array([stats[0], _around(stats[1:])])
    for number, (left, top, wide, high, _) in enumerate(stats[1:], start=1):
        box = Rect(
            left * chroma.width // width,
            top * chroma.height // height,
            -(-(left + wide) * chroma.width // width),
            -(-(top + high) * chroma.height // height),
        )
        part = (labels[top : top + high, left : left + wide] == number).view(np.uint8) * 255
        size = (box.right - box.left, box.bottom - box.top)
        big = cv2.resize(src=part, dsize=size, interpolation=cv2.INTER_LINEAR)
        _, mask = cv2.threshold(src=big, thresh=127, maxval=255, type=cv2.THRESH_BINARY)
        yield Piece(box, mask)


def _around(stats: np.ndarray) -> list[int]:
    """Returns left, top, width, height and area of everything together."""
    left, top = stats[:, 0].min(), stats[:, 1].min()
    right, bottom = (stats[:, 0] + stats[:, 2]).max(), (stats[:, 1] + stats[:, 3]).max()
    return [int(left), int(top), int(right - left), int(bottom - top), 0]


def _grown(mask: U8, across: int, down: int) -> U8:
    kernel = cv2.getStructuringElement(
        shape=cv2.MORPH_ELLIPSE, ksize=(2 * across + 1, 2 * down + 1)
    )
    out: U8 = cv2.dilate(src=mask, kernel=kernel)
    return out


def whole(size: Size) -> Piece:
    """Returns a picture as one piece."""
    chroma = size.chroma
    mask = np.full((chroma.height, chroma.width), 255, np.uint8)
    return Piece(Rect(0, 0, *chroma), mask)


def cell_side(box: Rect, chroma: Size) -> int:
    """Returns the side of the cells that hide a piece, in pixels of the U and V planes.

    In steps of a factor of the square root of 2, rounded up, so that cells keep their size while an
    object changes its a little.
    """
    short = min(box.right - box.left, box.bottom - box.top)
    wanted = max(short / _CELLS, min(chroma) * _LEAST, 1)
    return math.ceil(2 ** (math.ceil(2 * math.log2(wanted)) / 2))


def hide(planes: Planes, piece: Piece, how: How, out: Planes) -> None:
    """Writes a piece of a picture into ``out``, each of its cells as one mean colour.

    Cells lie on a grid that stands still in the picture. ``blur`` lets the colours of cells run
    into one another, and so shows no more than ``pixelate``.
    """
    chroma = Size(out.u.shape[1], out.u.shape[0])
    side = cell_side(piece.box, chroma)
    left, top = piece.box.left // side * side, piece.box.top // side * side
    box = Rect(
        left,
        top,
        min(-(-piece.box.right // side) * side, chroma.width),
        min(-(-piece.box.bottom // side) * side, chroma.height),
    )
    mask = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
    mask[
        piece.box.top - top : piece.box.bottom - top, piece.box.left - left : piece.box.right - left
    ] = piece.mask
    double = cv2.resize(
        src=mask, dsize=(2 * mask.shape[1], 2 * mask.shape[0]), interpolation=cv2.INTER_NEAREST
    )
    cells = (-(-mask.shape[1] // side), -(-mask.shape[0] // side))
    for plane, target, share, scale in (
        (planes.y, out.y, double, 2),
        (planes.u, out.u, mask, 1),
        (planes.v, out.v, mask, 1),
    ):
        rows = slice(scale * box.top, scale * box.bottom)
        columns = slice(scale * box.left, scale * box.right)
        view = target[rows, columns]
        hidden = _coarse(plane[rows, columns], cells, how)
        cv2.copyTo(src=hidden, mask=share[: view.shape[0], : view.shape[1]], dst=view)


def _coarse(plane: U8, cells: tuple[int, int], how: How) -> U8:
    small = cv2.resize(src=plane, dsize=cells, interpolation=cv2.INTER_AREA)
    spread = cv2.INTER_NEAREST if how == "pixelate" else cv2.INTER_LINEAR
    out: U8 = cv2.resize(src=small, dsize=plane.shape[::-1], interpolation=spread)
    return out
