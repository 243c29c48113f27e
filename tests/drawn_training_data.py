"""Small drawn data sets on disk, in the layout that training reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SCENE_COLORS = np.array([[40, 90, 220], [90, 90, 90], [220, 40, 40], [230, 220, 60]], np.uint8)
"""RGB of sky, road, box and, rare, pole."""

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def scene(seed: int, *, width: int = 64, height: int = 48, noise: int = 0) -> Pair:
    """RGB picture and labels: sky over road, a box (2), and in every second one a pole (3)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint8)
    labels[int(rng.integers(height // 3, height // 2)) :] = 1
    x, y = int(rng.integers(4, width - 24)), int(rng.integers(height // 4, height // 2))
    labels[y : y + 16, x : x + 20] = 2
    if seed % 2 == 0:
        x = int(rng.integers(2, width - 6))
        labels[4 : height - 8, x : x + 4] = 3
    image = SCENE_COLORS[labels]
    if noise:
        image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return image, labels


def disc(seed: int, *, side: int = 64) -> Pair:
    """A bright disc, the person, on a dark noisy ground, and its mask."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[0:side, 0:side]
    x, y, r = rng.uniform(20, 44), rng.uniform(20, 44), rng.uniform(10, 18)
    inside = (xs - x) ** 2 + (ys - y) ** 2 < r * r
    image = rng.integers(0, 60, (side, side, 3)) + inside[..., None] * 150
    return image.astype(np.uint8), inside.astype(np.uint8)


def write_pair(folder: Path, labels_folder: str, name: str, pair: Pair) -> None:
    """`images/<name>.png` and `<labels_folder>/<name>.png` below `folder`."""
    image, labels = pair
    for part, picture in (("images", image[..., ::-1]), (labels_folder, labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(filename=str(folder / part / f"{name}.png"), img=picture)


def write_scenes(data: Path, *, dataset: str = "town", train: int = 6, val: int = 2) -> Path:
    """A scene data set of four classes below `data`; returns its folder."""
    for split, count, first in (("train", train, 0), ("val", val, 100)):
        for seed in range(first, first + count):
            write_pair(data / dataset / split, "labels", f"{seed:03}", scene(seed))
    return data / dataset


def write_portraits(data: Path) -> None:
    """portrait/{train,val} with vik and ccp, and instances/train with one person and one room."""
    for split, first in (("train", 0), ("val", 100)):
        for index in range(4):
            name = f"{('vik', 'ccp')[index % 2]}_{index}"
            write_pair(data / "portrait" / split, "masks", name, disc(first + index))
    folder = data / "instances" / "train"
    (folder / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        cv2.imwrite(filename=str(folder / "images" / name), img=disc(7)[0])
    write_index(folder)


def write_index(folder: Path, **changes: Any) -> None:
    """instances.json of picture a, which shows a person, and b, which shows nobody.

    `changes` replace entries of the one annotation; None leaves an entry out.
    """
    images = [
        {"id": i, "file_name": name, "width": 64, "height": 64, "source": "pennfudan",
         "labelled_categories": "all"}
        for i, name in enumerate(("a.png", "b.png"))
    ]  # fmt: skip
    person = {
        "id": 5, "image_id": 0, "category_id": 1, "iscrowd": 0, "area": 2048,
        "segmentation": {"size": [64, 64], "counts": [0, 2048, 2048]},
    }  # fmt: skip
    person = {key: value for key, value in (person | changes).items() if value is not None}
    index = {"images": images, "annotations": [person]}
    (folder / "instances.json").write_text(json.dumps(index), encoding="utf-8")
