"""Pictures with label pictures in memory.

Folder layout: `<data>/<dataset>/{train,val}/{images,labels}/<name>.*`, 8-bit label pictures with
class ids and 255 or the id after the last class for void.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.ops.metrics import IGNORE
from edgeseg.training.pictures import labelled_pairs, read_pair


@dataclass(frozen=True)
class Scene:
    """One picture: `image` RGB uint8 [H, W, 3], `labels` uint8 [H, W] with class ids and 255."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    name: str


def load_scenes(folder: Path, classes: int) -> list[Scene]:
    """All pictures of `folder`, in name order; the void id `classes` becomes 255.

    Raises: ConfigError naming the file where a picture or its labels are missing or unreadable,
        their sizes differ, a label is neither a class nor void nor 255, or all of it is void.
    """
    pairs = labelled_pairs(folder / "images", folder / "labels")
    return [_scene(image, labels, classes) for image, labels in pairs]


def _scene(image_path: Path, label_path: Path, classes: int) -> Scene:
    image, labels = read_pair(image_path, label_path)
    foreign = sorted(set(np.unique(labels).tolist()) - set(range(classes + 1)) - {IGNORE})
    if foreign:
        raise ConfigError(
            f"{label_path}: label {foreign[0]}, expected 0 to {classes - 1}, {classes} for void "
            f"or {IGNORE}"
        )
    labels[labels == classes] = IGNORE
    if (labels == IGNORE).all():
        raise ConfigError(f"{label_path}: nothing but void, expected some pixels of a class")
    return Scene(image, labels, image_path.stem)


def class_pixels(scenes: list[Scene], classes: int) -> NDArray[np.int64]:
    """Number of pixels of each class."""
    counts: NDArray[np.int64] = np.sum(
        [np.bincount(s.labels.ravel(), minlength=256)[:classes] for s in scenes], axis=0
    )
    return counts


class SceneBank:
    """Training pictures, and for each rare class the pictures that show it."""

    def __init__(self, scenes: list[Scene], rare: tuple[int, ...]) -> None:
        self.scenes = scenes
        self.rare = rare
        self.showing = {label: [s for s in scenes if (s.labels == label).any()] for label in rare}

    def with_class(
        self, labels: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[Scene, int] | None:
        """A picture that shows one of the rare `labels`, and which; None if no picture does."""
        labels = tuple(label for label in labels if self.showing[label])
        if not labels:
            return None
        label = labels[int(rng.integers(len(labels)))]
        scenes = self.showing[label]
        return scenes[int(rng.integers(len(scenes)))], label
