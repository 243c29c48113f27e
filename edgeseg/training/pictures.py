"""Pictures, label pictures and run-length masks as arrays; what is wrong with one is said at once.

Every reader raises ConfigError with one line that names the file and what was expected of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.ops.rle import mask_from_counts
from edgeseg.types import Size

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def read_rgb(path: Path) -> Image:
    """The picture at `path` as RGB uint8 [H, W, 3]."""
    _must_exist(path)
    bgr = cv2.imread(filename=str(path), flags=cv2.IMREAD_COLOR)
    if bgr is None:
        raise ConfigError(f"{path}: not a readable picture")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def read_labels(path: Path) -> Labels:
    """The label picture at `path` as uint8 [H, W]; grey, 8 bits."""
    _must_exist(path)
    labels = cv2.imread(filename=str(path), flags=cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise ConfigError(f"{path}: not a readable label picture")
    if labels.dtype != np.uint8:
        raise ConfigError(f"{path}: {labels.dtype} values, expected an 8-bit label picture")
    if labels.ndim == 3:
        if (labels != labels[..., :1]).any():
            raise ConfigError(
                f"{path}: a colour picture, expected one channel of class numbers "
                "(save palette pictures as grey)"
            )
        labels = np.ascontiguousarray(labels[..., 0])
    return np.asarray(labels, np.uint8)


def _must_exist(path: Path) -> None:
    """Keeps OpenCV from warning on stderr about a file that is not there."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such picture")


def labelled_pairs(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Each picture of the folder `images` with the PNG of its name in `labels`, in name order.

    Hidden files do not count.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: no such folder; expected {images.name}/ and {labels.name}/"
            )
    pictures = {path.stem: path for path in sorted(images.iterdir()) if path.name[0] != "."}
    named = {path.stem: path for path in sorted(labels.glob("*.png")) if path.name[0] != "."}
    if not pictures:
        raise ConfigError(f"{images}: no pictures")
    for stem, path in pictures.items():
        if stem not in named:
            raise ConfigError(f"{path}: no labels; expected {labels / stem}.png")
    for stem, path in named.items():
        if stem not in pictures:
            raise ConfigError(f"{path}: labels without a picture; expected {images / stem}.*")
    return [(path, named[stem]) for stem, path in pictures.items()]


def read_pair(image_path: Path, label_path: Path) -> tuple[Image, Labels]:
    """A picture and its labels, which are of one size."""
    image, labels = read_rgb(image_path), read_labels(label_path)
    if labels.shape != image.shape[:2]:
        raise ConfigError(
            f"{label_path}: labels are {labels.shape[1]}x{labels.shape[0]}, the picture is "
            f"{image.shape[1]}x{image.shape[0]}"
        )
    return image, labels


def decode_rle(segmentation: Mapping[str, Any], *, where: str = "mask") -> NDArray[np.bool_]:
    """Mask [H, W] of an uncompressed COCO run-length encoding (column-major)."""
    try:
        height, width = segmentation["size"]
        return mask_from_counts(segmentation["counts"], Size(width, height))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: expected uncompressed run lengths {{size: [height, width], counts: [...]}} "
            "that cover the picture"
        ) from error
