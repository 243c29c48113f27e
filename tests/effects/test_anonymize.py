"""What is hidden cannot be recognised, and nothing that should be hidden is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import CAR, COLORS, THINGS, matte, person_mask, scene, single, street

from edgeseg.config import EffectConfig
from edgeseg.effects import make_effect
from edgeseg.labels import label_set
from edgeseg.types import U8, ColorSpace, Frame, Matte, Planes, Result, SemanticMap, Size

SIZE = Size(320, 180)
HOW = ["anonymize", "anonymize=blur"]


def portrait(frame: Frame) -> Matte:
    return matte(frame, side=128)


Kind = Callable[[Frame], Result]
KINDS: list[Kind] = [portrait, street, single]


def render(
    text: str, frame: Frame, result: Result | None, config: EffectConfig | None = None
) -> Planes:
    out = Planes.empty(frame.size)
    make_effect(text, config).render(frame, result, out)
    return out


def noise(size: Size, seed: int = 0, color: ColorSpace = COLORS[0]) -> Frame:
    """A picture whose every pixel is a secret."""
    rng = np.random.default_rng(seed)
    planes = Planes.empty(size)
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = rng.integers(16, 236, plane.shape, np.uint8)
    return Frame(planes.freeze(), 0, 0.0, None, color)


def detail(plane: U8, inside: np.ndarray) -> float:
    """Mean difference of neighbouring pixels inside a mask."""
    step = np.abs(np.diff(plane.astype(int), axis=1))
    return float(step[inside[:, 1:] & inside[:, :-1]].mean())


@pytest.mark.parametrize("text", HOW)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("color", COLORS[:2], ids=str)
def test_the_person_is_hidden_and_the_rest_is_as_filmed(
    text: str, kind: Kind, color: ColorSpace
) -> None:
    frame = noise(SIZE, color=color)
    out = render(text, frame, kind(frame))
    inside, far = person_mask(SIZE), ~person_mask(SIZE, share=0.4)
    np.testing.assert_array_equal(out.y[far], frame.planes.y[far])
    assert detail(out.y, inside) < 0.1 * detail(frame.planes.y, inside)
    chroma = cv2.resize(src=inside.view(np.uint8), dsize=tuple(SIZE.chroma)) > 0
    for plane, raw in ((out.u, frame.planes.u), (out.v, frame.planes.v)):
        assert detail(plane, chroma) < 0.25 * detail(raw, chroma)


@pytest.mark.parametrize("kind", KINDS)
def test_all_pixels_of_the_person_are_covered(kind: Kind) -> None:
    """The mask grows by the margin: the person's outline and a little around it go, too."""
    frame = noise(SIZE)
    out = render("anonymize", frame, kind(frame), EffectConfig(margin=0.02))
    same = (out.y == frame.planes.y) & person_mask(SIZE, share=0.31)
    assert same.sum() / person_mask(SIZE).sum() < 0.02, "as many as a mean meets by chance"


@pytest.mark.parametrize("kind", KINDS)
def test_the_margin_grows_what_is_hidden(kind: Kind) -> None:
    frame = noise(SIZE)
    hidden = [
        (render("anonymize", frame, kind(frame), EffectConfig(margin=m)).y != frame.planes.y).mean()
        for m in (0, 0.03, 0.1)
    ]
    assert hidden[0] < hidden[1] < hidden[2]
    reach = 0.1 * min(SIZE)  # of an ellipse of 54 by 70 pixels
    grown = np.pi * (54 + reach) * (70.2 + reach) / (SIZE.width * SIZE.height)
    assert 0.95 * grown < hidden[2] < 1.25 * grown, "a network's pixel more"


@pytest.mark.parametrize("kind", KINDS)
def test_a_face_that_fills_the_person_gets_a_few_cells(kind: Kind) -> None:
    """At most seven different levels in a row across the person."""
    frame = noise(SIZE)
    out = render("anonymize", frame, kind(frame), EffectConfig(margin=0))
    row = out.y[90][person_mask(SIZE, share=0.28)[90]]
    assert 2 <= 1 + np.count_nonzero(np.diff(row.astype(int))) <= 7


def test_small_people_get_cells_as_large_as_their_heads() -> None:
    frame = noise(Size(1280, 720))
    out = render("anonymize", frame, single(frame, [(600, 300, 620, 360)]))
    hidden = out.y[300:320, 602:618]
    assert len(np.unique(hidden)) <= 6


@pytest.mark.parametrize("text", HOW)
@pytest.mark.parametrize("size", [Size(1, 1), Size(101, 67), SIZE, Size(50, 300)], ids=str)
def test_without_a_result_everything_is_hidden(text: str, size: Size) -> None:
    frame = noise(size)
    out = render(text, frame, None)
    if min(size) > 1:
        everywhere = np.ones(out.y.shape, np.bool_)
        assert detail(out.y, everywhere) < 0.15 * detail(frame.planes.y, everywhere)
    side = max(min(size) // 7, 1)
    if text == "anonymize":
        assert len(np.unique(out.y)) <= (-(-size.width // side)) * (-(-size.height // side))


def test_a_model_without_the_class_hides_everything() -> None:
    frame = noise(SIZE)
    want = render("anonymize", frame, None)
    animals = label_set(("cat", "dog"))
    for result in (
        single(frame, labels=animals),
        single(frame, [], labels=animals),
        replace(street(frame), label_set=label_set([f"class {i}" for i in range(11)])),
    ):
        np.testing.assert_array_equal(render("anonymize", frame, result).y, want.y)


def test_nobody_there_shows_the_picture() -> None:
    frame = noise(SIZE)
    empty = replace(matte(frame), person=np.zeros((48, 48), np.float32))
    for result in (empty, street(frame, number=CAR), single(frame, []), single(frame, classes=[1])):
        np.testing.assert_array_equal(render("anonymize", frame, result).y, frame.planes.y)


def test_what_the_gate_took_away_is_hidden_all_the_same() -> None:
    frame = noise(SIZE)
    some = matte(frame)
    doubted = Matte(some.person, some.geometry, present=False)
    out, want = render("anonymize", frame, doubted), render("anonymize", frame, some)
    np.testing.assert_array_equal(out.y, want.y)


def test_doubtful_pixels_are_hidden_before_they_count_as_person() -> None:
    frame = noise(SIZE)
    some = matte(frame)
    faint = Matte(some.person * np.float32(0.3), some.geometry)
    out = render("anonymize", frame, faint)
    inside = person_mask(SIZE, share=0.25)
    assert detail(out.y, inside) < 0.1 * detail(frame.planes.y, inside)


def test_other_classes_can_be_hidden() -> None:
    frame = noise(SIZE)
    cars = EffectConfig(classes=("Car",))
    want = render("anonymize", frame, street(frame))
    out = render("anonymize", frame, street(frame, number=CAR), cars)
    np.testing.assert_array_equal(out.y, want.y)
    both = single(frame, [(20, 20, 80, 80), (200, 20, 280, 80)], classes=[0, 1])
    out = render("anonymize", frame, both, cars)
    np.testing.assert_array_equal(out.y[:, :180], frame.planes.y[:, :180])
    assert (out.y[40:60, 220:260] != frame.planes.y[40:60, 220:260]).mean() > 0.9


def test_a_crowd_of_specks_is_hidden_as_one_piece() -> None:
    frame = noise(SIZE)
    some = street(frame)
    labels = np.full_like(some.labels, CAR)
    labels[4::8, 4::8] = 9
    speckled = SemanticMap(labels, None, some.geometry, some.label_set)
    out = render("anonymize", frame, speckled)
    places = cv2.resize(
        src=(labels == 9).view(np.uint8), dsize=tuple(SIZE), interpolation=cv2.INTER_NEAREST
    ).astype(bool)
    assert (out.y[places] != frame.planes.y[places]).mean() > 0.95
    whole = render("anonymize", frame, None)
    assert len(np.unique(out.y[places])) <= 2 * len(np.unique(whole.y))


def test_objects_at_the_border_and_beyond() -> None:
    frame = noise(Size(101, 67))
    boxes = [(-5.0, -5.0, 10.0, 10.0), (95.0, 60.0, 140.0, 90.0), (200.0, 0.0, 220.0, 9.0)]
    boxes += [(50.0, 30.0, 50.0, 40.0), (100.2, 66.4, 100.6, 66.8)]
    out = render("anonymize", frame, single(frame, boxes))
    assert (out.y[2:6, 2:6] != frame.planes.y[2:6, 2:6]).mean() > 0.8
    np.testing.assert_array_equal(out.y[25:40, 30:80], frame.planes.y[25:40, 30:80])


def test_cells_stand_still_while_the_person_moves() -> None:
    """The grid belongs to the picture: a cell that stays covered keeps its colour."""
    frame = noise(SIZE)
    one = render("anonymize", frame, single(frame, [(100, 40, 180, 150)]))
    two = render("anonymize", frame, single(frame, [(103, 41, 183, 151)]))
    inner = np.s_[70:120, 125:160]
    np.testing.assert_array_equal(one.y[inner], two.y[inner])


@pytest.mark.parametrize("how", ["pixelate", "blur"])
def test_ways_by_name(how: str) -> None:
    frame = scene(SIZE)
    name = f"anonymize={how.upper()}"
    np.testing.assert_array_equal(
        render(name, frame, single(frame)).y, render(f"anonymize={how}", frame, single(frame)).y
    )
    assert THINGS.people() == (0,)
