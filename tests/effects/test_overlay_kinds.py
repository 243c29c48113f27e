"""Scenes and objects painted over the picture: whose colour is where, and what stays as filmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import CAR, COLORS, PEDESTRIAN, ROAD, THINGS, person_mask, scene, single, street

from edgeseg.config import EffectConfig
from edgeseg.effects import make_effect
from edgeseg.effects.paint_objects import contour_color, object_color, shown_objects, tag_text
from edgeseg.effects.paint_scene import class_shares, coloring_grid, painted
from edgeseg.labels import CAMVID, RGB, distinct_color, label_set
from edgeseg.ops.planes import color_to_yuv, to_bgr
from edgeseg.types import U8, ColorSpace, Frame, Geometry, Planes, Rect, Result, SemanticMap, Size

SIZE = Size(320, 180)
QUIET = EffectConfig(legend=False)


def render(
    text: str, frame: Frame, result: Result | None, config: EffectConfig | None = None
) -> Planes:
    out = Planes.empty(frame.size)
    make_effect(text, config).render(frame, result, out)
    return out


def grey(size: Size = SIZE, level: int = 120, color: ColorSpace = COLORS[0]) -> Frame:
    planes = Planes.empty(size)
    planes.y[:], planes.u[:], planes.v[:] = level, 128, 128
    return Frame(planes.freeze(), 0, 0.0, None, color)


def distance(picture: U8, place: tuple[int, int], rgb: RGB) -> int:
    return int(np.abs(picture[place].astype(int) - rgb[::-1]).max())


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_a_scene_is_painted_in_the_colours_of_its_classes(color: ColorSpace) -> None:
    """At full opacity U and V are the class's own, and Y about half of it."""
    frame = grey(color=color)
    out = render("overlay=1", frame, street(frame), QUIET)
    for (row, column), number in (((45, 80), PEDESTRIAN), ((8, 8), ROAD)):
        y, u, v = color_to_yuv(CAMVID.colors[number], color)
        assert abs(int(out.u[row, column]) - u) <= 1
        assert abs(int(out.v[row, column]) - v) <= 1
        assert abs(int(out.y[2 * row, 2 * column]) - (0.55 * y + 0.45 * 120)) <= 2


def test_opacity_of_a_scene() -> None:
    frame = scene(SIZE)
    nothing = render("overlay=0", frame, street(frame), QUIET)
    np.testing.assert_array_equal(nothing.u, frame.planes.u)
    shift = [
        abs(float(render(f"overlay={o}", grey(), street(grey()), QUIET).v[4, 4]) - 128)
        for o in (0, 0.3, 0.6, 1)
    ]
    assert shift == sorted(shift)
    default = render("overlay", grey(), street(grey()), QUIET)
    np.testing.assert_array_equal(
        default.v, render("overlay=0.55", grey(), street(grey()), QUIET).v
    )


def test_classes_can_be_told_apart_at_night() -> None:
    """On a black picture each class still has a brightness and colour of its own."""
    frame = grey(level=16)
    picture = to_bgr(render("overlay", frame, street(frame), QUIET))
    person, road = picture[90, 160].astype(int), picture[20, 20].astype(int)
    assert np.abs(person - road).max() > 20
    assert picture[20, 20].max() > 40


def test_only_chosen_classes_are_painted() -> None:
    frame = scene(SIZE)
    out = render("overlay", frame, street(frame), EffectConfig(classes=("Road",), legend=False))
    inside, far = person_mask(SIZE, share=0.25), ~person_mask(SIZE, share=0.36)
    np.testing.assert_array_equal(out.y[inside], frame.planes.y[inside])
    assert (out.y[far] != frame.planes.y[far]).mean() > 0.9
    nothing = render("overlay", frame, street(frame), EffectConfig(classes=("sky",), legend=False))
    np.testing.assert_array_equal(nothing.y, frame.planes.y)
    np.testing.assert_array_equal(nothing.u, frame.planes.u)


def test_background_is_not_painted_unless_asked_for() -> None:
    labels = label_set(("Background", "road", "void"))
    assert painted(labels, ()) == (1,)
    assert painted(labels, ("background",)) == (0,)
    frame = scene(SIZE)
    result = street(frame, number=1, rest=0, labels=labels)
    out = render("overlay", frame, result, QUIET)
    far = ~person_mask(SIZE, share=0.36)
    np.testing.assert_array_equal(out.y[far], frame.planes.y[far])


def test_a_thin_line_lies_between_classes() -> None:
    frame = grey(Size(1280, 720))
    out = render("overlay=0", frame, street(frame), QUIET)
    lighter = out.y > 125
    ring = person_mask(frame.size, share=0.32) & ~person_mask(frame.size, share=0.28)
    assert 0.003 < lighter.mean() < 0.03
    assert lighter[ring].sum() > 0.95 * lighter.sum()
    alone = replace(street(frame), labels=np.full((64, 96), ROAD, np.uint8))
    np.testing.assert_array_equal(render("overlay=0", frame, alone, QUIET).y, frame.planes.y)


def test_what_is_one_pixel_wide_on_the_map_is_painted() -> None:
    """A pole keeps its width at any size."""
    frame = grey(Size(960, 640))
    labels = np.full((64, 96), ROAD, np.uint8)
    labels[:, 40] = 2
    result = replace(street(frame), labels=labels)
    out = render("overlay=1", frame, result, QUIET)
    want = color_to_yuv(CAMVID.colors[2], frame.color)
    row = np.abs(out.v[160].astype(int) - want[2]) <= 2
    assert 4 <= row[195:210].sum() <= 6


def test_shares_of_classes() -> None:
    labels = np.array([[0, 0, 3], [3, 3, 3]], np.uint8)
    assert class_shares(labels, 5) == pytest.approx([2 / 6, 0, 0, 4 / 6, 0])


@pytest.mark.parametrize(
    ("chroma", "want"),
    [
        (Size(640, 360), (640, 360)),
        (Size(960, 540), (960, 540)),
        (Size(1920, 1080), (960, 540)),
        (Size(961, 3), (481, 2)),
        (Size(1, 4000), (1, 500)),
    ],
)
def test_the_grid_on_which_scenes_are_coloured(chroma: Size, want: tuple[int, int]) -> None:
    assert coloring_grid(chroma) == want


def test_a_big_picture_looks_like_a_small_one() -> None:
    small, big = grey(Size(960, 540)), grey(Size(3840, 2160))
    one = render("overlay", small, street(small), QUIET)
    two = render("overlay", big, street(big), QUIET)
    difference = np.abs(one.y[::4, ::4].astype(int) - two.y[2::16, 2::16])
    assert np.median(difference) == 0
    assert (difference > 12).mean() < 0.04


def test_objects_are_painted_in_their_boxes_only() -> None:
    frame = grey()
    boxes = [(20.0, 40.0, 120.0, 140.0), (200.0, 60.0, 300.0, 160.0)]
    out = render("overlay", frame, single(frame, boxes, classes=[0, 1]))
    assert abs(int(out.u[45, 35]) - 128) > 5
    for (row, column), number in (((90, 70), 0), ((110, 250), 1)):
        want = THINGS.colors[number]
        picture = to_bgr(out)
        assert distance(picture, (row, column), want) < distance(
            to_bgr(frame.planes), (row, column), want
        )
    changed = out.y != 120
    changed[14:150, 14:126] = False  # the first with its tag
    changed[34:170, 194:306] = False
    assert not changed.any()


def test_the_best_score_is_on_top() -> None:
    frame = grey()
    box = (60.0, 40.0, 260.0, 160.0)
    out = render("overlay=1", frame, single(frame, [box, box], classes=[1, 0]))
    _, u, v = color_to_yuv(THINGS.colors[1], frame.color)
    assert abs(int(out.u[50, 80]) - u) <= 2
    assert abs(int(out.v[50, 80]) - v) <= 2


def test_the_contour_follows_the_object_at_any_opacity() -> None:
    frame = grey(level=60)
    out = render("overlay=0", frame, single(frame))
    bright = out.y > 100
    bright[:40] = False  # the tag
    ring = person_mask(SIZE, share=0.33) & ~person_mask(SIZE, share=0.27)
    assert bright.sum() > 300
    assert bright[ring].sum() > 0.97 * bright.sum()
    np.testing.assert_array_equal(out.y[80:100, 150:170], 60)


def test_there_is_no_contour_along_the_pictures_border() -> None:
    frame = grey(level=60)
    result = single(frame, [(0.0, 0.0, 320.0, 180.0)])
    full = replace(result, masks=(np.full((8, 8), 255, np.uint8),))
    out = render("overlay=0", frame, full)
    assert (out.y[60:, :] == 60).all()


def test_only_chosen_objects_are_painted() -> None:
    frame = grey()
    boxes = [(20.0, 40.0, 120.0, 140.0), (200.0, 60.0, 300.0, 160.0)]
    both = single(frame, boxes, classes=[0, 1])
    assert shown_objects(both, ("CAR",)) == [1]
    out = render("overlay", frame, both, EffectConfig(classes=("car",)))
    np.testing.assert_array_equal(out.y[:, :180], 120)
    assert (out.y[:, 180:] != 120).any()


def test_colours_are_the_classs_or_the_objects_own() -> None:
    frame = grey()
    boxes = [(20.0, 40.0, 120.0, 140.0), (200.0, 60.0, 300.0, 160.0)]
    by_class = single(frame, boxes, classes=[1, 1])
    assert object_color(by_class, 0) == object_color(by_class, 1) == THINGS.colors[1]
    tracked = single(frame, boxes, classes=[1, 1], ids=[7, 12])
    assert object_color(tracked, 1) == distinct_color(12)
    assert tag_text(by_class, 0) == "car 90%"
    assert tag_text(tracked, 1) == "#12 car 40%"


def test_a_tag_stands_on_what_is_seen_of_the_object() -> None:
    """Of a car with a long bonnet on the left, on its roof; the box's corner is in the air."""
    frame = grey(Size(640, 360))
    result = single(frame, [(100.0, 100.0, 400.0, 300.0)])
    mask = np.zeros((20, 30), np.uint8)
    mask[4:10, 15:] = 255
    mask[10:] = 255
    out = render("overlay=0", frame, replace(result, masks=(mask,)))
    y, _, _ = color_to_yuv(THINGS.colors[0], frame.color)
    rows, columns = np.nonzero(out.y[:132] == y)
    assert abs(int(columns.min()) - 248) <= 4
    assert abs(int(rows.max()) - 138) <= 8
    empty = replace(result, masks=(np.zeros((4, 4), np.uint8),))
    rows, columns = np.nonzero(render("overlay", frame, empty).y == y)
    assert abs(int(columns.min()) - 100) <= 2
    assert rows.max() <= 100


@pytest.mark.parametrize("rgb", [(0, 0, 0), (0, 0, 142), (220, 20, 60), (255, 255, 255)])
def test_contours_are_bright_whatever_the_colour(rgb: RGB) -> None:
    red, green, blue = contour_color(rgb)
    assert 0.299 * red + 0.587 * green + 0.114 * blue >= 139
    assert all(0 <= level <= 255 for level in (red, green, blue))


def test_objects_outside_tiny_and_without_size_are_harmless() -> None:
    for size in (Size(1, 1), Size(101, 67), Size(176, 144)):
        frame = grey(size)
        width, height = size
        boxes = [
            (0.0, 0.0, 1.0, 1.0),
            (width - 1.0, height - 1.0, float(width), float(height)),
            (width / 2, height / 2, width / 2, height / 2),
            (width + 5.0, 0.0, width + 9.0, 4.0),
            (-20.0, -20.0, -10.0, -10.0),
            (-10.0, -10.0, 2.0 * width, 2.0 * height),
        ]
        out = render("overlay", frame, single(frame, boxes))
        assert size == Size(1, 1) or (out.u != 128).mean() > 0.5


def test_sixty_objects_leave_most_tags_out_or_apart() -> None:
    rng = np.random.default_rng(1)
    frame = grey(Size(640, 360))
    corners = rng.uniform(0, 300, (60, 2))
    boxes = [(x, y, x + 60, y + 50) for x, y in corners]
    out = render("overlay", frame, single(frame, boxes))
    assert (out.y != 120).mean() > 0.3


def test_labels_of_a_network_with_a_coarse_map() -> None:
    """The map may be larger than the picture, too."""
    frame = grey(Size(101, 67))
    geometry = Geometry(frame.size, Size(512, 256), Rect(0, 0, 512, 256))
    labels = np.full((256, 512), ROAD, np.uint8)
    labels[:, 256:] = CAR
    out = render("overlay=1", frame, SemanticMap(labels, None, geometry, CAMVID), QUIET)
    want = [color_to_yuv(CAMVID.colors[n], frame.color)[2] for n in (ROAD, CAR)]
    assert np.abs(out.v[16, [5, 45]].astype(int) - want).max() <= 1
