"""Words on the picture: tags find places, letters stand out, the legend stays where it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edgeseg.effects.legend import Legend
from edgeseg.effects.tags import Tag, Tagger, place, text_px
from edgeseg.labels import CAMVID, CITYSCAPES, label_set
from edgeseg.ops.planes import color_to_yuv
from edgeseg.types import BT601, ColorSpace, Planes, Size

PICTURE = Size(320, 180)
TAG = Size(60, 16)
Box = tuple[float, float, float, float]


def blank(size: Size, level: int = 90) -> Planes:
    planes = Planes.empty(size)
    planes.y[:], planes.u[:], planes.v[:] = level, 128, 128
    return planes


def put(*boxes: Box, picture: Size = PICTURE) -> list[tuple[int, int] | None]:
    return place(boxes, [TAG] * len(boxes), picture)


def test_a_tag_stands_on_its_box() -> None:
    assert put((50, 60, 150, 160)) == [(50, 44)]


@pytest.mark.parametrize(
    ("box", "want"),
    [
        ((50.0, 3.0, 150.0, 160.0), (50, 0)),
        ((300.0, 60.0, 320.0, 160.0), (260, 44)),
        ((-10.0, 60.0, 40.0, 160.0), (0, 44)),
        ((51.0, 61.0, 151.0, 160.0), (50, 44)),
    ],
)
def test_a_tag_stays_inside_the_picture_at_even_places(box: Box, want: tuple[int, int]) -> None:
    assert put(box) == [want]


def test_a_tag_never_lies_on_a_tiny_object() -> None:
    assert put((50, 0, 60, 10)) == [(50, 10)]
    assert put((310, 0, 320, 180)) == [None], "there is no place beside it in reach"
    tiny = (100.0, 50.0, 104.0, 54.0)
    (first, second) = put((90, 58, 200, 170), tiny)
    assert first is not None
    assert not (first[0] < 104 and first[0] + 60 > 100 and first[1] < 54 and first[1] + 16 > 50)
    assert second is not None


def test_tags_of_one_place_move_apart_and_the_best_comes_first() -> None:
    box = (100.0, 60.0, 200.0, 160.0)
    places = put(*[box] * 5)
    assert places[0] == (100, 44)
    assert len(set(places)) == 5
    taken = [place for place in places if place is not None]
    assert len(taken) == 5
    for one in range(5):
        for two in range(one):
            apart = abs(taken[one][0] - taken[two][0]) >= 60 or (
                abs(taken[one][1] - taken[two][1]) >= 16
            )
            assert apart


def test_tags_without_room_are_left_out() -> None:
    assert put((10, 10, 30, 30), picture=Size(59, 40)) == [None]
    places = put(*[(100.0, 60.0, 200.0, 160.0)] * 40)
    assert None in places
    assert places.index(None) > 5


@pytest.mark.parametrize(
    ("size", "want"),
    [
        (Size(3840, 2160), 48),
        (Size(1280, 720), 16),
        (Size(640, 360), 11),
        (Size(176, 144), 9),
        (Size(100, 60), None),
        (Size(1, 1), None),
    ],
)
def test_text_sizes(size: Size, want: int | None) -> None:
    assert text_px(size) == want


@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 255, 255), (128, 128, 0), (90, 90, 250)])
def test_letters_stand_out_from_their_tag(rgb: tuple[int, int, int]) -> None:
    picture = blank(Size(640, 360))
    fill = color_to_yuv(rgb, BT601)
    Tagger().draw(picture, [Tag("car 92%", (100.0, 100.0, 300.0, 300.0), fill)])
    tag = picture.y[86:100, 100:140]
    assert np.abs(tag.astype(int) - fill[0]).min() == 0
    assert np.abs(tag.astype(int) - fill[0]).max() > 90
    untouched = picture.y.copy()
    untouched[84:100, 100:160] = 90
    assert (untouched == 90).all()


def shares(*present: int) -> list[float]:
    return [1 / len(present) if i in present else 0.0 for i in range(len(CAMVID))]


def legend(size: Size, present: list[float], level: int = 90) -> Planes:
    picture = blank(size, level)
    Legend().draw(picture, BT601, CAMVID, numbers=tuple(range(len(CAMVID))), shares=present)
    return picture


def touched(picture: Planes, level: int = 90) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(picture.y != level)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize(
    "size", [Size(320, 240), Size(640, 360), Size(1280, 720), Size(3840, 2160)], ids=str
)
def test_a_legend_lies_at_the_bottom_and_is_small(size: Size) -> None:
    left, top, right, bottom = touched(legend(size, shares(0, 3)))
    assert left >= 0
    assert right < size.width
    assert top > 0.75 * size.height
    assert bottom < size.height
    assert abs((left + right) / 2 - size.width / 2) < 3


def test_every_class_keeps_its_place() -> None:
    few, many = legend(Size(1280, 720), shares(3)), legend(Size(1280, 720), shares(*range(11)))
    assert touched(few) == touched(many)
    same = few.y == many.y
    assert same[:, : 1280 // 4].mean() > 0.98
    strip = np.s_[touched(few)[1] : touched(few)[3], touched(few)[0] : touched(few)[2]]
    assert many.y[strip].mean() > few.y[strip].mean() + 3, "absent classes are dimmed"


def test_a_class_at_the_edge_of_being_there_does_not_blink() -> None:
    """Its name comes up in steps."""
    rising = [0.0, 0.0006, 0.0013, 0.002]
    levels = [float(legend(Size(640, 360), [1.0, share, *[0.0] * 9]).y.mean()) for share in rising]
    assert levels == sorted(levels)
    steps = [after - before for before, after in pairwise(levels)]
    assert max(steps) < 0.6 * (levels[-1] - levels[0])


def test_the_same_frame_has_the_same_legend() -> None:
    one = Legend()
    pictures = []
    for present in (shares(0, 3), shares(5), shares(0, 3)):
        picture = blank(Size(640, 360))
        one.draw(picture, BT601, CAMVID, numbers=tuple(range(11)), shares=present)
        pictures.append(picture.y.tobytes())
    assert pictures[0] == pictures[2] != pictures[1]


def test_no_legend_where_it_would_not_be_legible() -> None:
    for size in (Size(1, 1), Size(100, 60), Size(176, 144)):
        assert (legend(size, shares(0)).y == 90).all()
    many = label_set([f"a class with a long name {i}" for i in range(150)])
    picture = blank(Size(1280, 720))
    Legend().draw(picture, BT601, many, numbers=tuple(range(150)), shares=[0.01] * 150)
    assert (picture.y == 90).all()
    Legend().draw(picture, BT601, many, numbers=(3, 9), shares=[0.01] * 150)
    assert (picture.y != 90).any()


def test_nineteen_classes_and_odd_sizes() -> None:
    for size in (Size(1280, 720), Size(641, 361), Size(1079, 1921)):
        picture = blank(size)
        numbers = tuple(range(len(CITYSCAPES)))
        full = ColorSpace("bt709", True)
        Legend().draw(picture, full, CITYSCAPES, numbers=numbers, shares=[1 / 19] * 19)
        assert 0.005 < (picture.y != 90).mean() < 0.2
