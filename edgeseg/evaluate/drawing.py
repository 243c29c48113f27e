"""What pictures of scores are drawn with: colours, outlines, text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import SinkError
from edgeseg.types import U8

Bgr = tuple[int, int, int]
HIT, MISSED, INVENTED, UNSCORED = (90, 180, 60), (60, 60, 230), (230, 140, 30), (128, 128, 128)
"""BGR: found is green, missed red, invented blue, not scored grey."""
INK, PAPER = (235, 235, 235), (24, 24, 24)


def put_text(picture: U8, text: str, *, at: tuple[int, int], scale: float, color: Bgr) -> None:
    """Writes a line; at: its left end on the base line."""
    cv2.putText(
        img=picture,
        text=text,
        org=at,
        fontFace=cv2.FONT_HERSHEY_SIMPLEX,
        fontScale=scale,
        color=color,
        thickness=1,
        lineType=cv2.LINE_AA,
    )


def text_width(text: str, scale: float) -> int:
    """Returns the pixels a line takes."""
    (width, _), _ = cv2.getTextSize(
        text=text, fontFace=cv2.FONT_HERSHEY_SIMPLEX, fontScale=scale, thickness=1
    )
    return int(width)


def outline(picture: U8, mask: U8, color: Bgr, caption: str) -> None:
    """Tints a mask [H, W] of 0 and 1 in a BGR picture, draws its contour and writes beside it."""
    where = mask.astype(bool)
    if not where.any():
        return
    picture[where] = (0.7 * picture[where] + 0.3 * np.array(color)).astype(np.uint8)
    contours, _ = cv2.findContours(image=mask, mode=cv2.RETR_EXTERNAL, method=cv2.CHAIN_APPROX_NONE)
    line = max(2, round(max(picture.shape[:2]) / 200))
    cv2.drawContours(
        image=picture, contours=contours, contourIdx=-1, color=color, thickness=line,
        lineType=cv2.LINE_AA,
    )  # fmt: skip
    left, top, *_ = cv2.boundingRect(array=mask)
    scale = max(picture.shape[:2]) / 800
    height = round(26 * scale)
    left = max(min(left, picture.shape[1] - text_width(caption, scale) - 4), 0)
    cv2.rectangle(
        img=picture,
        pt1=(left, top),
        pt2=(left + text_width(caption, scale) + 4, top + height),
        color=color,
        thickness=cv2.FILLED,
    )
    put_text(picture, caption, at=(left + 2, top + round(20 * scale)), scale=scale, color=(0, 0, 0))


def draw_legend(colors: Mapping[str, Bgr], width: int) -> U8:
    """Returns a strip of a width: a swatch and a name for each colour, in as many lines as needed.

    Names wider than the strip are cut.
    """
    scale, line, swatch = 0.42, 24, 14
    places: list[tuple[str, int, int]] = []
    x, y = 8, 0
    for name in colors:
        needed = swatch + 6 + text_width(name, scale) + 18
        if x > 8 and x + needed > width:
            x, y = 8, y + line
        places.append((name, x, y))
        x += needed
    strip: U8 = np.full((y + line + 4, width, 3), PAPER, np.uint8)
    for name, x, y in places:
        strip[y + 5 : y + 7 + swatch, x - 1 : x + 1 + swatch] = UNSCORED  # a rim, for dark colours
        strip[y + 6 : y + 6 + swatch, x : x + swatch] = colors[name]
        put_text(strip, name, at=(x + swatch + 6, y + 17), scale=scale, color=INK)
    return strip


def write_png(path: Path, picture: U8, what: str) -> None:
    """Writes a picture as PNG. Raises SinkError."""
    ok, png = cv2.imencode(".png", picture)
    try:
        if not ok:
            raise SinkError(f"{path}: cannot encode the {what}")
        path.write_bytes(png.tobytes())
    except OSError as error:
        if isinstance(error, SinkError):
            raise
        raise SinkError(f"{path}: cannot write the {what}: {error.strerror}") from error
