"""Pictures with objects: a map of object numbers, the class of each, and what was labelled at all.

Besides COCO folders (`coco.py`): `<data>/camvid/train` for streets, `<data>/portrait/train` for
people to cut out, and objects cut out of any such picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.pictures import read_labels, read_rgb

MOST_OBJECTS = 250
_CAMVID = {"car": 8, "person": 9, "rider": 10}
_LEAST_PX = 60
_CAR_FILL, _PERSON_FILL = 0.62, 0.4
_CAR_ASPECT, _PERSON_ASPECT = (0.55, 2.4), (0.22, 0.62)


@dataclass(frozen=True)
class ObjectPicture:
    """One picture and its objects.

    image: RGB uint8 [H, W, 3]. ids: uint8 [H, W], 0 nothing, k the object of class
    `classes[k - 1]`, 255 do not judge. labelled: by class, whether every object of it is in `ids`.
    near_only: nothing is known far from the objects.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    classes: tuple[int, ...]
    labelled: tuple[bool, ...]
    near_only: bool
    source: str


def load_streets(data: Path, classes: Sequence[str]) -> list[ObjectPicture]:
    """CamVid's training pictures: compact blobs of cars and people as objects, the rest unjudged.

    The labels do not tell neighbours apart, so only blobs with a single object's shape count.
    """
    folder = data / "camvid" / "train"
    images = {path.stem: path for path in (folder / "images").iterdir()}
    pictures = []
    for path in sorted((folder / "labels").glob("*.png")):
        labels = read_labels(path)
        ids = np.where(np.isin(labels, list(_CAMVID.values())), IGNORE, 0).astype(np.uint8)
        numbers: list[int] = []
        for name in ("car", "person"):
            for blob in _single_objects(labels == _CAMVID[name], person=name == "person"):
                numbers.append(list(classes).index(name))
                ids[blob] = len(numbers)
        labelled = (True,) * len(classes)
        pictures.append(
            ObjectPicture(
                read_rgb(images[path.stem]), ids, tuple(numbers), labelled, False, "street"
            )
        )
    return pictures


def _single_objects(mask: NDArray[np.bool_], *, person: bool) -> list[NDArray[np.bool_]]:
    """Connected blobs that fill their box, and are as wide as tall, as one object does."""
    aspects = _PERSON_ASPECT if person else _CAR_ASPECT
    fill = _PERSON_FILL if person else _CAR_FILL
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(image=mask.astype(np.uint8))
    blobs = []
    for i in range(1, count):
        _, _, width, height, area = stats[i]
        single = aspects[0] <= width / height <= aspects[1] and area >= fill * width * height
        if area >= _LEAST_PX and single:
            blobs.append(numbers == i)
    return blobs


@dataclass(frozen=True)
class CutOut:
    """An object without its surroundings: RGB uint8 [h, w, 3], mask uint8 [h, w] 0/255, class."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    number: int


def cut_outs(pictures: Sequence[ObjectPicture], *, least_px: int = 1500) -> list[CutOut]:
    """Every object of at least `least_px` pixels that does not touch its picture's border."""
    found = []
    for picture in pictures:
        for k, number in enumerate(picture.classes, start=1):
            mask = picture.ids == k
            if mask.sum() >= least_px and not _touches_border(mask):
                found.append(_cut_out(picture.image, mask, number))
    return found


def portrait_cut_outs(data: Path, number: int, *, sources: Sequence[str]) -> list[CutOut]:
    """The people of `<data>/portrait/train` from `sources`, as class `number`."""
    pairs = portraits(data, sources)
    return [_cut_out(image, mask != 0, number) for image, mask in pairs if mask.any()]


def load_people(
    data: Path, number: int, classes: int, *, sources: Sequence[str]
) -> list[ObjectPicture]:
    """Portraits of one person, class `number` of `classes`; nothing is known far from it."""
    return [
        ObjectPicture(image, mask, (number,), (True,) * classes, True, "portrait")
        for image, mask in portraits(data, sources)
        if (mask == 1).any()
    ]


def portraits(
    data: Path, sources: Sequence[str]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """RGB picture and mask (0, 1, 255) of each file of `<data>/portrait/train` from `sources`."""
    folder = data / "portrait" / "train"
    images = {path.stem: path for path in (folder / "images").iterdir()}
    for path in sorted((folder / "masks").glob("*.png")):
        if path.stem.split("_")[0] in sources:
            yield read_rgb(images[path.stem]), read_labels(path)


def _touches_border(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_], number: int) -> CutOut:
    x, y, w, h = cv2.boundingRect(array=mask.astype(np.uint8))
    window = (slice(y, y + h), slice(x, x + w))
    return CutOut(image[window].copy(), mask[window].astype(np.uint8) * 255, number)
