"""One training sample of a driving scene: a view, pasted rare objects, another camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.training.config import SceneAugment
from edgeseg.training.photometric import change_photo
from edgeseg.training.scene.datasets import Scene, SceneBank
from edgeseg.training.views import View, warp_image, warp_labels
from edgeseg.types import Size

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def scene_sample(
    scene: Scene,
    bank: SceneBank,
    size: Size,
    rng: np.random.Generator,
    config: SceneAugment,
    *,
    pasted: tuple[int, ...] = (),
) -> Pair:
    """A new RGB image [H, W, 3] of `scene` and its labels [H, W] (255 where there is nothing)."""
    target = None
    if rng.random() < config.aim:
        found = bank.with_class(bank.rare, rng)
        if found is not None:
            scene, target = found
    pair = seen(scene, scene_view(scene, size, rng, config, target=target), size)
    if pasted and rng.random() < config.mix:
        pair = with_rare_objects(pair, bank, size, rng, config, pasted)
    image, labels = pair
    return change_photo(image, rng, config.photo), labels


def scene_view(
    scene: Scene,
    size: Size,
    rng: np.random.Generator,
    config: SceneAugment,
    *,
    target: int | None = None,
) -> View:
    """A random crop at a random scale and aspect, around a pixel of `target` if that is given."""
    height, width = scene.labels.shape
    scale = np.exp(rng.uniform(*np.log(config.scale)))
    stretch = np.sqrt(np.exp(rng.uniform(*np.log(config.aspect))))
    w, h = size.width / scale * stretch, size.height / scale / stretch
    if target is None:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
    else:
        rows, columns = np.nonzero(scene.labels == target)
        pick = int(rng.integers(len(rows)))
        x = columns[pick] + rng.uniform(-0.35, 0.35) * w
        y = rows[pick] + rng.uniform(-0.35, 0.35) * h
    x = _kept_inside(x, w, width)
    y = _kept_inside(y, h, height)
    degrees = float(rng.normal(0, 2.0)) if rng.random() < 0.3 else 0.0
    return View(x, y, w, h, degrees, mirrored=bool(rng.random() < 0.5))


def _kept_inside(center: float, side: float, whole: int) -> float:
    """`center` moved so that a view of `side` stays in 0..`whole`, or is centred if it cannot."""
    return whole / 2 if side >= whole else float(np.clip(center, side / 2, whole - side / 2))


def seen(scene: Scene, view: View, size: Size) -> Pair:
    """What `view` shows of `scene`, as picture and labels of `size`."""
    return warp_image(scene.image, view, size), warp_labels(scene.labels, view, size)


def with_rare_objects(
    pair: Pair,
    bank: SceneBank,
    size: Size,
    rng: np.random.Generator,
    config: SceneAugment,
    pasted: tuple[int, ...],
) -> Pair:
    """`pair` with the `pasted` classes of another view drawn in place, edges blended.

    ClassMix (Olsson et al. 2020, arXiv 2007.07936, sec. 3.1) with true labels instead of guesses.
    """
    found = bank.with_class(pasted, rng)
    if found is None:
        return pair
    scene, target = found
    view = scene_view(scene, size, rng, config, target=target)
    other_image, other_labels = seen(scene, view, size)
    chosen = [label for label in pasted if label == target or rng.random() < 0.5]
    paste = np.isin(other_labels, chosen)
    soft = cv2.blur(src=paste.astype(np.float32), ksize=(3, 3))
    image = cv2.blendLinear(src1=other_image, src2=pair[0], weights1=soft, weights2=1.0 - soft)
    return np.asarray(image, np.uint8), np.where(paste, other_labels, pair[1]).astype(np.uint8)
