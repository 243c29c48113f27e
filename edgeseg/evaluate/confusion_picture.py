"""The confusion matrix as a picture: rows are the truth, columns what it was taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeseg.evaluate.drawing import put_text, text_width, write_png
from edgeseg.evaluate.scoring import Confusion
from edgeseg.types import U8

CELL, ROW = 58, 34
_SCALE = 0.42
_INK, _PALE = (40, 40, 40), (150, 150, 150)
_RIGHT, _WRONG = np.array([92, 148, 40]), np.array([50, 70, 205])
"""BGR of a full cell on the diagonal and off it."""


def write_confusion(path: Path, confusion: Confusion, *, title: str) -> None:
    """Writes each row as per cent of its class's pixels. Raises SinkError."""
    write_png(path, draw_confusion(confusion, title=title), "confusion matrix")


def draw_confusion(confusion: Confusion, *, title: str) -> U8:
    """Returns the matrix as BGR [H, W, 3]; darker is more."""
    rows, columns = len(confusion.rows), len(confusion.columns)
    names = max(text_width(name, _SCALE) for name in (*confusion.rows, *confusion.columns))
    left, top = names + 40, names * 3 // 4 + 70
    share_width = 66
    width = max(left + columns * CELL + share_width + 12, text_width(title, 0.5) + 24)
    sheet: U8 = np.full((top + rows * ROW + 34, width, 3), 255, np.uint8)
    put_text(sheet, title, at=(12, 24), scale=0.5, color=_INK)
    put_text(sheet, "true class", at=(12, top - 8), scale=_SCALE, color=_PALE)
    put_text(sheet, "% of all", at=(left + columns * CELL + 8, top - 8), scale=_SCALE, color=_PALE)
    for column, name in enumerate(confusion.columns):
        _slanted(sheet, name, (left + column * CELL + CELL // 2, top - 6))
    total = max(int(confusion.counts.sum()), 1)
    for row, name in enumerate(confusion.rows):
        y = top + row * ROW
        at = (left - 10 - text_width(name, _SCALE), y + ROW * 2 // 3)
        put_text(sheet, name, at=at, scale=_SCALE, color=_INK)
        _draw_row(sheet, confusion, row, (left, y))
        share = f"{100 * int(confusion.counts[row].sum()) / total:.1f}"
        at = (left + columns * CELL + 14, y + ROW * 2 // 3)
        put_text(sheet, share, at=at, scale=_SCALE, color=_PALE)
    note = "per cent of each true class; columns: predicted class"
    put_text(sheet, note, at=(12, sheet.shape[0] - 12), scale=_SCALE, color=_PALE)
    return sheet


def _draw_row(sheet: U8, confusion: Confusion, row: int, corner: tuple[int, int]) -> None:
    counts = confusion.counts[row]
    total = int(counts.sum())
    for column, count in enumerate(counts.tolist()):
        share = count / total if total else 0.0
        right = confusion.rows[row] == confusion.columns[column]
        depth = share**0.6  # small shares are to be seen as well
        color = 255 + ((_RIGHT if right else _WRONG) - 255) * depth
        x, y = corner[0] + column * CELL, corner[1]
        sheet[y : y + ROW - 2, x : x + CELL - 2] = color.astype(np.uint8) if total else 245
        text = _per_cent(share) if total else "-"
        ink = (255, 255, 255) if depth > 0.6 else _INK if share >= 0.0005 else _PALE
        at = (x + (CELL - 2 - text_width(text, _SCALE)) // 2, y + ROW * 2 // 3 - 1)
        put_text(sheet, text, at=at, scale=_SCALE, color=ink)


def _per_cent(share: float) -> str:
    return "0" if share < 0.0005 else f"{100 * share:.1f}"


def _slanted(sheet: U8, text: str, foot: tuple[int, int]) -> None:
    """Writes text rising to the right from a foot, so that long names do not run into others."""
    import cv2

    length = text_width(text, _SCALE) + 8
    strip: U8 = np.full((20, length, 3), 255, np.uint8)
    put_text(strip, text, at=(4, 14), scale=_SCALE, color=_INK)
    turn = cv2.getRotationMatrix2D(center=(0.0, 14.0), angle=48, scale=1)
    turn[:, 2] += np.array([foot[0], foot[1] - 14])
    height, width = sheet.shape[:2]
    drawn = cv2.warpAffine(
        src=strip, M=turn, dsize=(width, height), flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(255, 255, 255),
    )  # fmt: skip
    np.minimum(sheet, drawn, out=sheet)
