"""Pictures to try a network on."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.ops.planes import from_bgr
from edgeseg.types import U8, Frame


def drawn_frames() -> list[Frame]:
    """Returns three 320x240 pictures: a head-and-shoulders figure, an empty wall, noise."""
    ramp = np.linspace(60, 200, 320, dtype=np.float32)[None, :, None]
    wall: U8 = np.broadcast_to(ramp, (240, 320, 3)).astype(np.uint8)
    figure = wall.copy()
    cv2.ellipse(
        img=figure,
        center=(160, 260),
        axes=(90, 110),
        angle=0,
        startAngle=0,
        endAngle=360,
        color=(120, 60, 40),
        thickness=-1,
    )
    cv2.ellipse(
        img=figure,
        center=(160, 105),
        axes=(42, 56),
        angle=0,
        startAngle=0,
        endAngle=360,
        color=(140, 170, 215),
        thickness=-1,
    )
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    pictures = (figure, wall, noise)
    return [Frame(from_bgr(bgr), index, 0.0) for index, bgr in enumerate(pictures)]
