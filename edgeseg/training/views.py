"""A view of a picture: a rectangle, perhaps turned or mirrored, drawn at another size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.metrics import IGNORE
from edgeseg.types import Size

_SUPERSAMPLED = 1.5  # shrinking by more is drawn at double size and averaged


@dataclass(frozen=True)
class View:
    """A rectangle in picture pixels, turned by `degrees`, mirrored if `mirrored`."""

    center_x: float
    center_y: float
    width: float
    height: float
    degrees: float = 0.0
    mirrored: bool = False

    def matrix(self, size: Size) -> NDArray[np.float64]:
        """Affine map [2, 3] from picture pixels to a picture of `size` (pixel centres)."""
        angle = np.deg2rad(self.degrees)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        across = size.width / self.width * (-1 if self.mirrored else 1)
        linear = np.diag([across, size.height / self.height]) @ turn
        center = np.array([self.center_x, self.center_y])
        middle = np.array([size.width - 1, size.height - 1]) / 2
        return np.column_stack([linear, middle - linear @ (center - 0.5)])


def warp_image(
    image: NDArray[np.uint8], view: View, size: Size, *, border: int = cv2.BORDER_REFLECT_101
) -> NDArray[np.uint8]:
    """What `view` sees of `image`, as [H, W, C]; area-averaged when it shrinks a lot."""
    shrink = max(view.width / size.width, view.height / size.height)
    render = Size(size.width * 2, size.height * 2) if shrink > _SUPERSAMPLED else size
    warped = cv2.warpAffine(
        src=image,
        M=view.matrix(render),
        dsize=render,
        flags=cv2.INTER_LINEAR,
        borderMode=border,
    )
    if render != size:
        warped = cv2.resize(src=warped, dsize=size, interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def warp_labels(labels: NDArray[np.uint8], view: View, size: Size) -> NDArray[np.uint8]:
    """What `view` sees of a label picture, nearest neighbour; 255 outside of it."""
    return np.asarray(
        cv2.warpAffine(
            src=labels,
            M=view.matrix(size),
            dsize=size,
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(IGNORE,),
        ),
        np.uint8,
    )
