"""Figures on the picture: a small translucent panel, drawn on I420 planes in place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgeseg.effects.patch import Patch, even, make_patch, mix, rounded
from edgeseg.effects.typeface import Typeface, best_typeface
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, ColorSpace, Planes, Size

REFRESH_S = 0.25
_TEXT_SHARE = 0.025  # of the picture's height
_SMALLEST_PX, _LEAST_PX = 12, 7  # wanted, and still legible where the picture is narrow
_OPACITY = 0.66
_PANEL_RGB = (14, 18, 24)

KEYS = (
    ("q", "quit"),
    ("space", "pause"),
    ("e", "next effect"),
    ("m", "next model"),
    ("s", "snapshot"),
    ("h", "figures, keys, off"),
)


@dataclass(frozen=True, slots=True)
class HudFigures:
    """What the panel says. Rates per second and times are None until they are known.

    note: a short message shown below the figures, "" for none.
    """

    model: str
    backend: str
    effect: str
    fps_captured: float | None = None
    fps_inferred: float | None = None
    fps_shown: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    dropped: int = 0
    note: str = ""


class _Style(NamedTuple):
    rgb: tuple[int, int, int]
    weight: int


_TITLE = _Style((244, 247, 250), 600)
_VALUE = _Style((236, 240, 244), 500)
_QUIET = _Style((158, 170, 182), 400)
_ACCENT = _Style((140, 200, 255), 500)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a label at the left, then spans from the common column on (or right after)."""

    label: tuple[str, _Style]
    spans: tuple[tuple[str, _Style], ...] = ()


class Hud:
    """Draws the panel at the top left; for one thread.

    Text is drawn anew at most every quarter second, or at once when a word changes; the panel is
    blended on every picture, in 0.1 ms at 720p. Pictures too small for text stay as they are.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._face: Typeface = best_typeface()
        self._scratch = Scratch()
        self._key: object = None
        self._drawn_at = -math.inf
        self._patch: Patch | None = None

    def draw(self, picture: Planes, color: ColorSpace, lines: HudFigures) -> None:
        """Draws the figures on a writable picture."""
        words = (lines.model, lines.backend, lines.effect, lines.note)
        self._show(picture, color, words, lambda: _figure_rows(lines))

    def draw_help(self, picture: Planes, color: ColorSpace) -> None:
        """Draws the list of keys on a writable picture."""
        self._show(picture, color, "help", _help_rows)

    def _show(
        self, picture: Planes, color: ColorSpace, words: object, rows: Callable[[], list[_Row]]
    ) -> None:
        key, now = (picture.size, color, words), self._clock()
        if key != self._key or not 0 <= now - self._drawn_at < REFRESH_S:
            self._patch = _render(rows(), picture.size, color, self._face)
            self._key, self._drawn_at = key, now
        if self._patch is not None:
            self._patch.draw(picture, self._scratch)


def _figure_rows(figures: HudFigures) -> list[_Row]:
    rows = [
        _Row((figures.model, _TITLE)),
        _Row((f"{figures.backend} · {figures.effect}", _QUIET)),
        _Row(
            ("FPS", _QUIET),
            (
                (_number(figures.fps_shown, 1), _VALUE),
                (" shown  ", _QUIET),
                (_number(figures.fps_inferred, 1), _VALUE),
                (" inferred", _QUIET),
            ),
        ),
        _Row(
            ("Latency", _QUIET),
            (
                (_number(figures.latency_p50_ms, 0), _VALUE),
                (" ms  p99 ", _QUIET),
                (_number(figures.latency_p99_ms, 0), _VALUE),
                (" ms", _QUIET),
            ),
        ),
        _Row(("Dropped", _QUIET), ((str(figures.dropped), _VALUE),)),
    ]
    return rows + ([_Row((figures.note, _ACCENT))] if figures.note else [])


def _help_rows() -> list[_Row]:
    return [
        _Row(("Keys", _TITLE)),
        *(_Row((key, _ACCENT), ((does, _VALUE),)) for key, does in KEYS),
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where text goes, in pixels."""

    text: int
    pad: int
    line: int
    column: int
    size: Size


def _lay_out(rows: list[_Row], text: int, face: Typeface) -> _Layout:
    pad, line = round(0.8 * text), round(1.45 * text)
    labels = [face.width(row.label[0], text, row.label[1].weight) for row in rows if row.spans]
    column = max(labels, default=0) + round(0.9 * text)
    wide = 0
    for row in rows:
        spans = sum(face.width(word, text, style.weight) for word, style in row.spans)
        label = face.width(row.label[0], text, row.label[1].weight)
        wide = max(wide, column + spans if row.spans else label)
    # Whole ems, so that the panel does not breathe with every digit; even, for the chroma planes.
    width = even(math.ceil(wide / text + 0.2) * text + 2 * pad)
    height = even(len(rows) * line + 2 * pad - (line - text) // 2)
    return _Layout(text, pad, line, column, Size(width, height))


def _render(rows: list[_Row], picture: Size, color: ColorSpace, face: Typeface) -> Patch | None:
    """Returns the panel for a picture of this size, or None where it would not be legible."""
    text = max(round(_TEXT_SHARE * min(picture.height, 1.2 * picture.width)), _SMALLEST_PX)
    layout = _lay_out(rows, text, face)
    room = Size(picture.width - 2 * (text // 2), picture.height - 2 * (text // 2))
    share = min(room.width / layout.size.width, room.height / layout.size.height)
    if share < 1:
        layout = _lay_out(rows, max(int(text * share * 0.97), 1), face)
    if layout.text < _LEAST_PX:
        return None
    left = top = layout.text // 2 // 2 * 2  # even, for the chroma planes
    if left + layout.size.width > picture.width or top + layout.size.height > picture.height:
        return None
    rgb, alpha = _paint(rows, layout, face)
    return make_patch(rgb, alpha, color, left=left, top=top)


def _paint(rows: list[_Row], layout: _Layout, face: Typeface) -> tuple[U8, U8]:
    """Returns the panel's colours, uint8 [h, w, 3] RGB, and its alpha, uint8 [h, w]."""
    rgb = np.empty((layout.size.height, layout.size.width, 3), np.uint8)
    rgb[:] = _PANEL_RGB
    alpha = rounded(layout.size, radius=round(0.55 * layout.text), level=round(255 * _OPACITY))
    for style in (_TITLE, _VALUE, _QUIET, _ACCENT):
        ink = np.zeros(alpha.shape, np.uint8)
        for index, row in enumerate(rows):
            _write(ink, row, index, style, layout, face)
        mix(rgb, ink, style.rgb)
        np.maximum(alpha, ink, out=alpha)
    return rgb, alpha


def _write(ink: U8, row: _Row, index: int, style: _Style, layout: _Layout, face: Typeface) -> None:
    """Draws those words of a row that are in this style."""
    baseline = layout.pad + index * layout.line + round(0.82 * layout.text)
    x = layout.pad + layout.column
    places = [(layout.pad, *row.label)]
    for word, own in row.spans:
        places.append((x, word, own))
        x += face.width(word, layout.text, own.weight)
    for left, word, own in places:
        if own == style:
            face.draw(ink, word, x=left, baseline=baseline, size_px=layout.text, weight=own.weight)
