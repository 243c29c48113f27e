import dataclasses

import cv2
import numpy as np
import pytest
from scenes import COLORS

from edgeseg.effects import typeface
from edgeseg.effects.hud import KEYS, REFRESH_S, Hud, HudFigures, _figure_rows
from edgeseg.ops.draw import fill
from edgeseg.ops.planes import to_bgr
from edgeseg.types import BT601, ColorSpace, Planes, Size

FIGURES = HudFigures("portrait", "onnxruntime fp32", "blur", 30.0, 29.9, 29.8, 23.4, 41.2, 3)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def grey(size: Size, *, alpha: bool = False) -> Planes:
    planes = Planes.empty(size, alpha=alpha)
    fill(planes, (150, 128, 128), alpha=0)
    return planes


def drawn(hud: Hud, size: Size, figures: HudFigures = FIGURES) -> Planes:
    planes = grey(size)
    hud.draw(planes, BT601, figures)
    return planes


def panel(planes: Planes) -> tuple[int, int]:
    """Width and height of what was drawn on."""
    rows, columns = np.nonzero(planes.y != 150)
    return (int(columns.max()) + 1, int(rows.max()) + 1) if rows.size else (0, 0)


@pytest.mark.parametrize(
    "size",
    [Size(640, 360), Size(1280, 720), Size(1920, 1080), Size(3840, 2160), Size(639, 361)],
    ids=str,
)
def test_panel_stays_small_at_every_size(size: Size) -> None:
    width, height = panel(drawn(Hud(), size))
    assert 0.15 * size.width < width < 0.45 * size.width
    assert 0.15 * size.height < height < 0.4 * size.height


def test_text_is_bright_on_a_dark_panel() -> None:
    y = drawn(Hud(), Size(1280, 720)).y[12:120, 12:200]
    assert y.min() < 80
    assert y.max() > 215
    assert 0.005 < (y > 180).mean() < 0.3


@pytest.mark.parametrize("size", [Size(1, 1), Size(3, 2), Size(33, 21), Size(80, 40)], ids=str)
def test_pictures_too_small_for_text_stay_as_they_are(size: Size) -> None:
    planes = drawn(Hud(), size)
    assert (planes.y == 150).all()
    assert (planes.u == 128).all()


@pytest.mark.parametrize("size", [Size(176, 144), Size(201, 267), Size(360, 640)], ids=str)
def test_narrow_pictures_get_a_panel_that_fits(size: Size) -> None:
    width, height = panel(drawn(Hud(), size))
    assert 0 < width <= size.width
    assert 0 < height <= size.height


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_looks_the_same_in_every_colour_space(color: ColorSpace) -> None:
    planes = Planes.empty(Size(640, 360))
    fill(planes, (235 if not color.full_range else 255, 128, 128))
    Hud().draw(planes, color, FIGURES)
    patch = to_bgr(planes, color)[10:20, 60:100].reshape(-1, 3).mean(axis=0)
    reference = Planes.empty(Size(640, 360))
    fill(reference, (235, 128, 128))
    Hud().draw(reference, BT601, FIGURES)
    want = to_bgr(reference)[10:20, 60:100].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(patch, want, atol=4)


def test_figures_are_drawn_anew_every_quarter_second() -> None:
    clock = Clock()
    hud, size = Hud(clock), Size(640, 360)
    first = drawn(hud, size)
    changed = dataclasses.replace(FIGURES, fps_shown=11.1)
    clock.now += REFRESH_S * 0.9
    np.testing.assert_array_equal(drawn(hud, size, changed).y, first.y)
    clock.now += REFRESH_S * 0.2
    assert (drawn(hud, size, changed).y != first.y).any()


@pytest.mark.parametrize(
    "change", [{"note": "saved snap.png"}, {"effect": "color"}, {"model": "portrait-sinet"}]
)
def test_words_change_at_once(change: dict[str, str]) -> None:
    hud, size = Hud(Clock()), Size(640, 360)
    first = drawn(hud, size)
    assert (drawn(hud, size, dataclasses.replace(FIGURES, **change)).y != first.y).any()  # type: ignore[arg-type]


def test_help_lists_every_key_and_replaces_the_figures() -> None:
    hud, size = Hud(Clock()), Size(640, 360)
    figures, keys = drawn(hud, size), grey(size)
    hud.draw_help(keys, BT601)
    assert (keys.y != figures.y).any()
    assert panel(keys)[1] > panel(figures)[1]
    assert {key for key, _ in KEYS} >= {"q", "space", "e", "m", "s", "h"}


def test_unknown_figures_are_dashes() -> None:
    rows = _figure_rows(HudFigures("portrait", "onnxruntime fp32", "blur"))
    words = [word for row in rows for word, _ in (row.label, *row.spans)]
    assert words.count("–") == 4
    nan = _figure_rows(dataclasses.replace(FIGURES, latency_p99_ms=float("nan")))
    assert "–" in [word for row in nan for word, _ in row.spans]


def test_panel_is_seen_on_transparent_pictures() -> None:
    planes = grey(Size(640, 360), alpha=True)
    Hud().draw(planes, BT601, FIGURES)
    assert planes.a is not None
    assert planes.a[20:60, 20:100].min() > 100
    assert planes.a[-1, -1] == 0


def test_strokes_stand_in_on_older_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    assert isinstance(typeface.best_typeface(), typeface.StrokeFace)
    y = drawn(Hud(), Size(1280, 720)).y[12:120, 12:200]
    assert y.max() > 200


def test_hud_does_not_grow_when_digits_do() -> None:
    sizes = {
        panel(drawn(Hud(), Size(1280, 720), dataclasses.replace(FIGURES, fps_shown=value)))
        for value in (29.1, 30.0, 29.4, 28.8)
    }
    assert len(sizes) == 1
