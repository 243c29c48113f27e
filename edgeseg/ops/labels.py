"""Results as pictures of class numbers."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.types import U8, Result


def label_map(result: Result) -> U8:
    """Returns uint8 [H, W] class numbers at frame size; for a portrait 0 background, 1 person.

    Probabilities are enlarged bilinearly before they are compared with the threshold, so that
    edges are not stair-cased. Nobody present means all 0. The array is new.
    """
    width, height = result.frame_size
    if not result.present:
        return np.zeros((height, width), np.uint8)
    person = cv2.resize(src=result.person, dsize=(width, height), interpolation=cv2.INTER_LINEAR)
    labels: U8 = (person >= np.float32(result.threshold)).view(np.uint8)
    return labels
