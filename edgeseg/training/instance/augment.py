"""One training sample with objects: a view of a picture, with more objects pasted into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.config import InstanceAugment
from edgeseg.training.instance.objects import MOST_OBJECTS, CutOut, ObjectPicture
from edgeseg.training.photometric import change_photo, change_tone
from edgeseg.training.views import View, warp_image, warp_labels
from edgeseg.types import Size

_LEAST_VISIBLE = 0.25  # of an object, or it is not judged
_LEAST_SIDE_PX = 4


def object_sample(
    picture: ObjectPicture,
    cut_outs: Sequence[CutOut],
    size: Size,
    rng: np.random.Generator,
    config: InstanceAugment,
) -> ObjectPicture:
    """A new sample of `size` from `picture`."""
    seen = seen_through(picture, object_view(picture, size, rng, config), size)
    if cut_outs and rng.random() < config.paste:
        for _ in range(int(rng.integers(1, config.most_pasted + 1))):
            seen = with_object(seen, cut_outs[int(rng.integers(len(cut_outs)))], rng)
    seen = without_hidden(seen)
    return replace(seen, image=change_photo(seen.image, rng, config.photo))


def object_view(
    picture: ObjectPicture, size: Size, rng: np.random.Generator, config: InstanceAugment
) -> View:
    """A part of the picture at random scale, aspect and place, stretched to `size` later.

    `config.scale` is the part's side against the picture's: below 1 zooms in, above 1 out.
    """
    height, width = picture.ids.shape
    scale = np.exp(rng.uniform(*np.log(config.scale)))
    stretch = np.sqrt(np.exp(rng.uniform(*np.log(config.aspect))))
    w, h = width * scale * stretch, height * scale / stretch
    x = _placed(w, width, rng)
    y = _placed(h, height, rng)
    return View(x, y, w, h, mirrored=bool(rng.random() < 0.5))


def _placed(side: float, whole: int, rng: np.random.Generator) -> float:
    """A centre such that the part lies in the picture, or the picture in the part."""
    low, high = sorted((side / 2, whole - side / 2))
    return float(rng.uniform(low, high))


def seen_through(picture: ObjectPicture, view: View, size: Size) -> ObjectPicture:
    """What `view` shows of picture and object map; outside the picture is a grey, judged border."""
    image = warp_image(picture.image, view, size, border=cv2.BORDER_REPLICATE)
    ids = warp_labels(picture.ids, view, size)
    inside = warp_labels(np.zeros_like(picture.ids), view, size)
    ids[inside == IGNORE] = 0
    return replace(picture, image=image, ids=ids)


def with_object(picture: ObjectPicture, thing: CutOut, rng: np.random.Generator) -> ObjectPicture:
    """`picture` with `thing` in front, at a random size and place, in similar light.

    Copy-paste (Ghiasi et al. 2021, arXiv 2012.07177, sec. 3).
    """
    if len(picture.classes) >= MOST_OBJECTS:
        return picture
    height, width = picture.ids.shape
    tall = np.exp(rng.uniform(np.log(0.12), np.log(0.95))) * height
    scale = min(tall / thing.mask.shape[0], 1.1 * width / thing.mask.shape[1])
    stretch = np.exp(rng.normal(0, 0.08))
    w = max(_LEAST_SIDE_PX, round(thing.mask.shape[1] * scale * stretch))
    h = max(_LEAST_SIDE_PX, round(thing.mask.shape[0] * scale / stretch))
    patch = cv2.resize(src=thing.image, dsize=(w, h), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(src=thing.mask, dsize=(w, h), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        patch, mask = patch[:, ::-1], mask[:, ::-1]
    x = round(rng.uniform(-0.25 * w, width - 0.75 * w))
    y = round(rng.uniform(0.0, 1.0) * (height - 0.75 * h))
    return _pasted(picture, patch, mask, (x, y), thing.number, rng)


def _pasted(
    picture: ObjectPicture,
    patch: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    at: tuple[int, int],
    number: int,
    rng: np.random.Generator,
) -> ObjectPicture:
    height, width = picture.ids.shape
    x, y = at
    x0, y0, x1, y1 = (
        max(x, 0),
        max(y, 0),
        min(x + mask.shape[1], width),
        min(y + mask.shape[0], height),
    )
    if x1 <= x0 or y1 <= y0:
        return picture
    window = (slice(y0, y1), slice(x0, x1))
    inner = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    image, ids = picture.image.copy(), picture.ids.copy()
    under, over = image[window], np.ascontiguousarray(patch[inner])
    shift = rng.uniform(0.0, 0.6) * (under.mean(axis=(0, 1)) - over.mean(axis=(0, 1)))
    over = np.clip(over + shift.astype(np.float32), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        over = change_tone(over, rng, low_light=False)
    alpha = np.ascontiguousarray(mask[inner]).astype(np.float32) / 255
    alpha = cv2.GaussianBlur(src=alpha, ksize=(3, 3), sigmaX=0.8)
    image[window] = cv2.blendLinear(
        src1=over, src2=np.ascontiguousarray(under), weights1=alpha, weights2=1 - alpha
    )
    ids[window][mask[inner] >= 128] = len(picture.classes) + 1
    return replace(picture, image=image, ids=ids, classes=(*picture.classes, number))


def without_hidden(picture: ObjectPicture) -> ObjectPicture:
    """`picture` with slivers no longer judged and the remaining objects numbered from 1.

    A sliver is thinner than four pixels or covers less than 12 of them.
    """
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    classes: list[int] = []
    for k, number in enumerate(picture.classes, start=1):
        mask = (picture.ids == k).view(np.uint8)
        _, _, w, h = cv2.boundingRect(array=mask)
        if not w:
            continue
        if min(w, h) < _LEAST_SIDE_PX or cv2.countNonZero(src=mask) < _LEAST_VISIBLE * w * h * 0.5:
            table[k] = IGNORE
            continue
        classes.append(number)
        table[k] = len(classes)
    return replace(picture, ids=table[picture.ids], classes=tuple(classes))
