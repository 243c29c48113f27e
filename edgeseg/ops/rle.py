"""Run-length encoding of masks as COCO has it: column by column, zeros first.

The format is that of the COCO API (pycocotools ``maskApi.c``): counts of alternating runs, and a
text form of them in groups of five bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.types import U8, Rect, Size

I64 = NDArray[np.int64]
_MOST_GROUPS = 7  # of five bits, for numbers up to 2**34


@dataclass(frozen=True, slots=True)
class Runs:
    """The pixels of a mask of a picture of this size, as runs down its columns.

    starts, ends: int64 [N], places in column-major order, ends exclusive, none touching the next.
    """

    size: Size
    starts: I64
    ends: I64

    @property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return int((self.ends - self.starts).sum())

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        """The mask's bounding box: left, top, width, height; all 0 without a pixel."""
        if not len(self.starts):
            return 0, 0, 0, 0
        height = self.size.height
        last = self.ends - 1
        left, right = int(self.starts[0] // height), int(last[-1] // height) + 1
        whole = bool((self.starts // height != last // height).any())  # on into the next column
        top = 0 if whole else int((self.starts % height).min())
        bottom = height if whole else int((last % height).max()) + 1
        return left, top, right - left, bottom - top

    def counts(self) -> I64:
        """Returns lengths of runs, of zeros and of ones in turns, beginning with zeros."""
        edges = np.empty(2 * len(self.starts) + 2, np.int64)
        edges[0], edges[-1] = 0, self.size.width * self.size.height
        edges[1:-1:2], edges[2:-1:2] = self.starts, self.ends
        counts = np.diff(edges)
        return counts if counts[-1] or len(counts) == 1 else counts[:-1]

    def text(self) -> str:
        """Returns the counts in COCO's compressed form."""
        return compress(self.counts())


def mask_runs(mask: U8, place: Rect, size: Size) -> Runs:
    """Returns the runs of a mask, uint8 [h, w] with 0 or not, that lies at ``place`` in a picture.

    The rectangle lies within the picture and has the mask's size, which may be nothing.
    200x200 pixels take 0.03 ms, their text 0.06 ms.
    """
    height, width = mask.shape
    columns = np.zeros((width, height + 2), np.uint8)  # a zero above and below every column
    np.not_equal(mask.T, 0, out=columns[:, 1:-1].view(np.bool_))
    flat = columns.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    column, row = np.divmod(edges, height + 2)  # an edge lies above the pixel of its row
    places = (place.left + column) * size.height + place.top + row
    starts, ends = places[::2], places[1::2]
    if place.top == 0 and place.bottom == size.height:
        apart = starts[1:] != ends[:-1]
        starts = np.concatenate([starts[:1], starts[1:][apart]])
        ends = np.concatenate([ends[:-1][apart], ends[-1:]])
    return Runs(size, starts, ends)


def label_runs(labels: U8) -> Iterator[tuple[int, Runs]]:
    """Yields each class number of a label picture, uint8 [H, W], and its runs.

    One pass over the picture for all classes: 720p takes 3 ms.
    """
    size = Size(labels.shape[1], labels.shape[0])
    flat = np.ascontiguousarray(labels.T).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    numbers = flat[starts]
    for number in np.unique(numbers):
        chosen = numbers == number
        yield int(number), Runs(size, starts[chosen], ends[chosen])


def mask_from_counts(counts: Sequence[int], size: Size) -> NDArray[np.bool_]:
    """Returns the mask [H, W] that ``Runs.counts`` describes.

    Raises: ValueError when the counts do not cover the picture or one is negative.
    """
    values = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(size.width, size.height).T)


def compress(counts: I64) -> str:
    """Returns counts as COCO writes them: differences to the one before last, five bits a letter.

    See ``rleToString`` in pycocotools ``maskApi.c``.
    """
    left = counts.astype(np.int64)
    left[3:] -= counts[1:-2]
    groups = np.empty((len(left), _MOST_GROUPS), np.uint8)
    used = np.zeros(groups.shape, np.bool_)
    going = np.ones(len(left), np.bool_)
    for place in range(_MOST_GROUPS):
        bits = left & 31
        left >>= 5
        used[:, place] = going
        going = going & np.where(bits & 16, left != -1, left != 0)
        groups[:, place] = bits + 32 * going + 48
        if not going.any():
            break
    return groups[used].tobytes().decode("ascii")
