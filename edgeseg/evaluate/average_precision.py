"""Average precision of masks and boxes, by pycocotools, the reference implementation.

Everything in this file that is COCO's own protocol is left to the library: matching, crowds, 101
recall points, IoU .50 to .95, at most 100 objects a picture.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.evaluate.coco_data import CocoData
from edgeseg.evaluate.coco_masks import Mask
from edgeseg.types import U8, Size

Rle = dict[str, Any]
"""{"size": [h, w], "counts": bytes}, compressed."""
Kind = Literal["mask", "box"]
KINDS: dict[Kind, str] = {"mask": "segm", "box": "bbox"}
MOST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """One predicted object. box_xywh: in pixels."""

    image_id: int
    category_id: int
    score: float
    mask: Rle
    box_xywh: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Precision:
    """Of one kind. values: float64 [10 IoU thresholds from .50, 101 recalls, categories], NaN
    where a category has no object.
    """

    category_ids: tuple[int, ...]
    values: NDArray[np.float64]

    def ap(self, category_id: int | None = None, *, iou: float | None = None) -> float:
        """Returns the mean, of one category or of all that occur, at one IoU or at all ten."""
        values = self.values if iou is None else self.values[[round((iou - 0.5) / 0.05)]]
        if category_id is not None:
            values = values[:, :, [self.category_ids.index(category_id)]]
        known = values[~np.isnan(values)]
        return float(known.mean()) if known.size else float("nan")


class CocoScorer:
    """The library's view of a data set, to which predictions are compared."""

    def __init__(self, data: CocoData) -> None:
        """Raises ConfigError when the library is not installed."""
        self._library = library()
        sizes = {image.id: image.size for image in data.images}
        self._images = [
            {"id": image.id, "width": image.size.width, "height": image.size.height}
            for image in data.images
        ]
        self._categories = [{"id": i, "name": name} for i, name in data.categories.items()]
        self.masks = {o.id: self.encoded(o.mask, sizes[o.image_id]) for o in data.objects}
        # The library takes an object with the id 0 for none at all, so all are numbered anew.
        self._truth = self._index(
            {
                "id": number,
                "image_id": o.image_id,
                "category_id": o.category_id,
                "segmentation": self.masks[o.id],
                "bbox": list(o.box_xywh or self._library.mask.toBbox(self.masks[o.id])),
                "area": float(self._library.mask.area(self.masks[o.id])),
                "iscrowd": int(o.crowd),
            }
            for number, o in enumerate(data.objects, start=1)
        )

    def encoded(self, mask: Mask, size: Size) -> Rle:
        """Returns a checked segmentation as compressed RLE."""
        tools, height, width = self._library.mask, size.height, size.width
        if mask.rle is not None:
            rle: Rle = tools.frPyObjects(mask.rle, height, width)
            return rle
        merged: Rle = tools.merge(tools.frPyObjects(list(mask.polygons), height, width))
        return merged

    def encode(self, mask: U8) -> Rle:
        """Returns the RLE of a mask [H, W] of 0 and 1."""
        rle: Rle = self._library.mask.encode(np.asfortranarray(mask))
        return rle

    def overlaps(
        self, found: Sequence[Rle], truth: Sequence[Rle], crowd: Sequence[bool]
    ) -> NDArray[np.float64]:
        """Returns the IoU of masks [found, truth]; of a crowd, the share that lies inside it."""
        if not found or not truth:
            return np.zeros((len(found), len(truth)))
        ious: NDArray[np.float64] = self._library.mask.iou(
            list(found), list(truth), [int(flag) for flag in crowd]
        )
        return ious

    def precision(
        self,
        found: Sequence[Found],
        kind: Kind,
        *,
        categories: Sequence[int],
        images: Sequence[int],
    ) -> Precision:
        """Returns the precision of predictions, judged on these images and categories only."""
        theirs = self._index(_row(number, one) for number, one in enumerate(found, start=1))
        judge = self._library.evaluate(self._truth, theirs, KINDS[kind])
        judge.params.imgIds, judge.params.catIds = list(images), list(categories)
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [MOST]
        with redirect_stdout(io.StringIO()):
            judge.evaluate()
            judge.accumulate()
        values = np.asarray(judge.eval["precision"], np.float64)[:, :, :, 0, 0]
        return Precision(tuple(judge.params.catIds), np.where(values < 0, np.nan, values))

    def _index(self, annotations: Iterable[dict[str, Any]]) -> Any:
        coco = self._library.dataset()
        coco.dataset = {
            "images": self._images,
            "categories": self._categories,
            "annotations": list(annotations),
        }
        with redirect_stdout(io.StringIO()):
            coco.createIndex()
        return coco


def _row(number: int, found: Found) -> dict[str, Any]:
    width, height = found.box_xywh[2:]
    return {
        "id": number,
        "image_id": found.image_id,
        "category_id": found.category_id,
        "score": found.score,
        "segmentation": found.mask,
        "bbox": list(found.box_xywh),
        "area": width * height,
        "iscrowd": 0,
    }


@dataclass(frozen=True, slots=True)
class Library:
    """The parts of pycocotools in use."""

    dataset: Any
    evaluate: Any
    mask: Any


def library() -> Library:
    """Returns the reference implementation. Raises ConfigError when it is not installed."""
    try:
        from pycocotools import mask
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ConfigError(
            "scoring instances needs pycocotools; install it with: pip install 'edgeseg[eval]'"
        ) from error
    return Library(COCO, COCOeval, mask)
