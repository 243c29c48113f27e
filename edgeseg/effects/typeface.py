"""Text on a coverage mask: OpenCV 5's outline font, or Hershey strokes on OpenCV 4."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from edgeseg.types import U8


class Typeface(Protocol):
    """Measures and draws one line of text. size_px: height of a line without leading."""

    def width(self, text: str, size_px: int, weight: int) -> int: ...
    def draw(
        self, mask: U8, text: str, *, x: int, baseline: int, size_px: int, weight: int
    ) -> None: ...


def best_typeface() -> Typeface:
    """Returns the best-looking face this OpenCV has."""
    return OutlineFace() if hasattr(cv2, "FontFace") else StrokeFace()


class OutlineFace:
    """The sans-serif TrueType face inside OpenCV 5. For one thread."""

    def __init__(self) -> None:
        self._face = cv2.FontFace("sans")

    def width(self, text: str, size_px: int, weight: int) -> int:
        """Returns the width of a text in pixels."""
        box = cv2.getTextSize((1, 1), text, (0, 0), self._face, size_px, weight=weight)
        return int(box[0] + box[2])

    def draw(
        self, mask: U8, text: str, *, x: int, baseline: int, size_px: int, weight: int
    ) -> None:
        """Draws with coverage 255 on a uint8 [H, W] mask."""
        cv2.putText(mask, text, (x, baseline), (255,), self._face, size_px, weight=weight)


class StrokeFace:
    """Hershey strokes, which every OpenCV has; ASCII only."""

    def width(self, text: str, size_px: int, weight: int) -> int:
        """Returns the width of a text in pixels."""
        (width, _), _ = cv2.getTextSize(
            text=_ascii(text),
            fontFace=self._face(weight),
            fontScale=self._scale(size_px),
            thickness=self._thickness(size_px, weight),
        )
        return int(width)

    def draw(
        self, mask: U8, text: str, *, x: int, baseline: int, size_px: int, weight: int
    ) -> None:
        """Draws with coverage 255 on a uint8 [H, W] mask."""
        cv2.putText(
            img=mask,
            text=_ascii(text),
            org=(x, baseline),
            fontFace=self._face(weight),
            fontScale=self._scale(size_px),
            color=(255,),
            thickness=self._thickness(size_px, weight),
            lineType=cv2.LINE_AA,
        )

    @staticmethod
    def _face(weight: int) -> int:
        return int(cv2.FONT_HERSHEY_DUPLEX if weight >= 500 else cv2.FONT_HERSHEY_SIMPLEX)

    @staticmethod
    def _scale(size_px: int) -> float:
        return size_px / 32  # capitals of 22 px at scale 1, as tall as the outline face's

    @staticmethod
    def _thickness(size_px: int, weight: int) -> int:
        return max(int(np.rint(size_px * weight / 9000)), 1)


def _ascii(text: str) -> str:
    plain = text.replace("·", "-").replace("–", "-")
    return plain.encode("ascii", "replace").decode("ascii")
