"""Pictures, label pictures and run-length masks as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def read_rgb(path: Path) -> Image:
    """The picture at `path` as RGB uint8 [H, W, 3].

    Raises: FileNotFoundError when it cannot be read as an image.
    """
    bgr = cv2.imread(filename=str(path), flags=cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(f"{path}: not a readable image")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def read_labels(path: Path) -> Labels:
    """The 8-bit label picture at `path` as [H, W].

    Raises: FileNotFoundError when it cannot be read as an image.
    """
    labels = cv2.imread(filename=str(path), flags=cv2.IMREAD_GRAYSCALE)
    if labels is None:
        raise FileNotFoundError(f"{path}: not a readable label picture")
    return np.asarray(labels, np.uint8)


def decode_rle(segmentation: Mapping[str, list[int]]) -> NDArray[np.bool_]:
    """Mask [H, W] of an uncompressed COCO run-length encoding (column-major)."""
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return np.asarray(flat.reshape(width, height).T, np.bool_)
