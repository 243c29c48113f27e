"""The kernels of ``kernels.cu`` in numpy: the same steps in the same order, in float32.

They are the reference for the kernels, bit for bit where no exponential is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.cuda.recipes import ACTIVATIONS, KINDS
from edgeseg.ops.image import LETTERBOX_GREY
from edgeseg.protocols import Tensor
from edgeseg.types import F32, I32, U8

DTYPES = {number: np.dtype(name) for name, number in KINDS.items()}
NO_CLASS = 255
"""Label of a pixel whose scores are no numbers."""


def i420_to_input(picture: U8, recipe: np.void) -> Tensor:
    """Returns the network's input, [H, W, 3] or [3, H, W], from a frame's packed planes.

    Each plane is averaged over boxes of whole pixels, then resized bilinearly, half-pixel centres,
    and rounded to a level; so are the colours, before they are normalised. ``ops.image`` halves
    and rounds step by step instead: on drawn scenes they are 5 levels apart at most, 0.3 on
    average, and shipped networks decide alike in 99.4 % of a frame.
    """
    width = np.arange(recipe["right"] - recipe["left"], dtype=np.int32)
    height = np.arange(recipe["bottom"] - recipe["top"], dtype=np.int32)
    yuv = np.stack([_resized(picture, plane, width, height) for plane in recipe["planes"]])
    matrix = recipe["matrix"][:, :, None, None]
    rgb = ((matrix[:, 0] * yuv[0] + matrix[:, 1] * yuv[1]) + matrix[:, 2] * yuv[2]) + matrix[:, 3]
    shape = (3, int(recipe["height"]), int(recipe["width"]))
    levels = np.full(shape, LETTERBOX_GREY, np.float32)
    inside = np.s_[:, recipe["top"] : recipe["bottom"], recipe["left"] : recipe["right"]]
    levels[inside] = np.clip(np.rint(rgb), 0, 255)
    if DTYPES[int(recipe["kind"])] != np.uint8:
        levels = (levels - recipe["mean"][:, None, None]) / recipe["std"][:, None, None]
    values = levels.astype(DTYPES[int(recipe["kind"])])
    return np.ascontiguousarray(values if recipe["nchw"] else values.transpose(1, 2, 0))


def _resized(picture: U8, plane: np.void, columns: I32, rows: I32) -> F32:
    """Returns float32 whole levels [rows, columns] of one plane."""
    x, y, stride = plane["x"], plane["y"], int(plane["stride"])
    start, length = int(plane["offset"]), (int(y["size"]) - 1) * stride + int(x["size"])
    flat = np.zeros(int(y["size"]) * stride, np.uint8)
    flat[:length] = picture[start : start + length]
    pixels = flat.reshape(int(y["size"]), stride)[:, : int(x["size"])]
    boxes = _box_sums(_box_sums(pixels.astype(np.int32), x).T, y).T.astype(np.float32)
    left, right, along = _taps(columns, x["ratio"], int(x["level"]))
    top, bottom, down = _taps(rows, y["ratio"], int(y["level"]))
    upper = boxes[np.ix_(top, left)] * (1 - along) + boxes[np.ix_(top, right)] * along
    lower = boxes[np.ix_(bottom, left)] * (1 - along) + boxes[np.ix_(bottom, right)] * along
    area = np.float32(1) / np.float32(x["box"] * y["box"])
    value: F32 = np.rint((upper * (1 - down[:, None]) + lower * down[:, None]) * area)
    return value


def _box_sums(lines: I32, axis: np.void) -> I32:
    """Returns [n, level] sums over boxes of pixels; a last box that is not full is left out."""
    level, box = int(axis["level"]), int(axis["box"])
    sums: I32 = lines[:, : level * box].reshape(len(lines), level, box).sum(axis=2, dtype=np.int32)
    return sums


def _taps(places: I32, ratio: np.float32, count: int) -> tuple[I32, I32, F32]:
    """Returns which two of so many values each place lies between, and how far from the first."""
    at = (places.astype(np.float32) + np.float32(0.5)) * ratio - np.float32(0.5)
    first = np.floor(at)
    number = first.astype(np.int32)
    return number.clip(0, count - 1), (number + 1).clip(0, count - 1), at - first


def scores_to_labels(scores: Tensor, recipe: np.void) -> tuple[U8, bool]:
    """Returns uint8 [pixels], the lowest of the best classes; True where scores are no numbers.

    Scores are enlarged bilinearly, half-pixel centres, before they are compared.
    """
    values = _enlarged(_by_channel(scores, recipe), recipe)
    labels = values.argmax(axis=0).astype(np.uint8)
    wrong = ~np.isfinite(values).all(axis=0)
    labels[wrong] = NO_CLASS
    return labels, bool(wrong.any())


def person_to_bytes(scores: Tensor, recipe: np.void) -> tuple[U8, bool]:
    """Returns uint8 [pixels], a probability as 0..255; True where one is no number (then 0)."""
    values = _by_channel(scores, recipe)
    if DTYPES[int(recipe["kind"])] == np.uint8:
        values = values * np.float32(1 / 255)
    own = values[int(recipe["channel"])]
    if recipe["activation"] == ACTIVATIONS["none"]:
        person = own
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            if recipe["activation"] == ACTIVATIONS["sigmoid"]:
                total = np.float32(1) + np.exp(-own)
            else:
                total = np.exp(values - own).sum(axis=0, dtype=np.float32)
        person = np.float32(1) / total
    wrong = ~np.isfinite(person)
    levels = np.rint(np.where(wrong, 0, person).clip(0, 1) * np.float32(255))
    return levels.astype(np.uint8), bool(wrong.any())


def _by_channel(scores: NDArray[np.generic], recipe: np.void) -> F32:
    """Views flat scores as float32 [channels, pixels]."""
    shape = int(recipe["channels"]), int(recipe["rows"]) * int(recipe["columns"])
    flat = scores.reshape(-1)[: shape[0] * shape[1]]
    planar = recipe["pixel_stride"] == 1
    turned = flat.reshape(shape) if planar else flat.reshape(shape[::-1]).T
    return np.asarray(turned, np.float32)


def _enlarged(values: F32, recipe: np.void) -> F32:
    """Returns float32 [channels, pixels made]; a value of no weight is not looked at."""
    columns, rows = (np.arange(recipe[side], dtype=np.int32) for side in ("width", "height"))
    left, right, along = _taps(columns, recipe["ratio_x"], int(recipe["columns"]))
    top, bottom, down = _taps(rows, recipe["ratio_y"], int(recipe["rows"]))
    planes = values.reshape(len(values), int(recipe["rows"]), int(recipe["columns"]))
    with np.errstate(invalid="ignore"):
        wide = _between(planes[:, :, left], planes[:, :, right], along)
        high = _between(wide[:, top], wide[:, bottom], down[:, None])
    return high.reshape(len(values), -1)


def _between(first: F32, second: F32, share: F32) -> F32:
    mixed: F32 = np.where(share == 0, first, first * (1 - share) + second * share)
    return mixed
