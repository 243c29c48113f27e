"""What synthetic sources draw: the truth is exact, and a frame depends on its number alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.types import U8, Size
from edgeseg.video.synthetic import SCENES, parse_uri
from edgeseg.video.synthetic.canvas import Canvas, Placement, Sprite
from edgeseg.video.synthetic.film import Film, Picture

SIZES = ["1x1", "2x1", "1x3", "101x67", "67x101", "640x3"]
RED, BLUE = (210, 60, 40), (40, 60, 210)


def film(query: str, *, lens: bool = True) -> Film:
    return Film(parse_uri(f"synthetic://{query}"), lens=lens)


def same(a: Picture, b: Picture) -> bool:
    pairs = zip((a.planes.y, a.planes.u, a.planes.v, a.truth),
                (b.planes.y, b.planes.u, b.planes.v, b.truth), strict=True)  # fmt: skip
    return all(np.array_equal(x, y) for x, y in pairs)


def near_an_edge(truth: U8) -> np.ndarray:
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(src=truth, kernel=kernel) != cv2.erode(src=truth, kernel=kernel))


def flat_canvas(size: Size) -> Canvas:
    canvas = Canvas(size)
    canvas.fill(np.full((4, 4, 3), 90, np.uint8), 0)
    return canvas


@pytest.mark.parametrize("size", [Size(1, 1), Size(101, 67), Size(64, 48)])
def test_a_polygon_colours_exactly_the_pixels_it_labels(size: Size) -> None:
    canvas = flat_canvas(size)
    grey = int(canvas.y[0, 0])
    span = np.array(size)
    canvas.polygons(np.array([[[0.2, 0.1], [0.93, 0.4], [0.37, 0.88]]]) * span, RED, 5)
    planes, truth = canvas.finish(lens=False)
    assert truth.shape == planes.y.shape == (size.height, size.width)
    np.testing.assert_array_equal(planes.y != grey, truth == 5)


def test_a_nearer_polygon_takes_over_and_marks_leave_the_truth() -> None:
    canvas = flat_canvas(Size(40, 30))
    square = np.array([[[4.0, 4], [24, 4], [24, 24], [4, 24]]])
    canvas.polygons(square, RED, 1)
    canvas.polygons(square + 8, BLUE, 2)
    canvas.marks(square - 2, (255, 255, 255))
    planes, truth = canvas.finish(lens=False)
    assert (truth[13:23, 13:23] == 2).all()
    assert (truth[5:11, 5:11] == 1).all()
    assert planes.y[10, 10] > 220
    assert truth[3, 3] == 0
    assert planes.y[3, 3] > 220


@pytest.mark.parametrize("degrees", [0.0, 17.0, 200.0])
@pytest.mark.parametrize("scale", [0.11, 0.5, 1.0, 2.7])
def test_a_sprite_colours_exactly_the_pixels_it_labels(degrees: float, scale: float) -> None:
    alpha = np.zeros((90, 70), np.uint8)
    cv2.circle(img=alpha, center=(30, 50), radius=22, color=255, thickness=-1)
    bgr = np.full((90, 70, 3), (30, 40, 230), np.uint8)
    canvas = flat_canvas(Size(151, 99))
    grey = int(canvas.y[0, 0])
    placement = Placement.of(pivot=(30.5, 50.5), at=(80, 50), scale=scale, degrees=degrees)
    canvas.paste(Sprite.cut(bgr, alpha), placement, 3)
    planes, truth = canvas.finish(lens=False)
    np.testing.assert_array_equal(planes.y != grey, truth == 3)
    rows, cols = np.mgrid[:99, :151] + 0.5
    distance = np.hypot(rows - 50, cols - 80)
    assert (truth[distance < 21.5 * scale - 1] == 3).all()
    assert not truth[distance > 23 * scale + 1].any()


def test_a_sprite_outside_the_picture_draws_nothing() -> None:
    sprite = Sprite.cut(np.full((8, 8, 3), 255, np.uint8), np.full((8, 8), 255, np.uint8))
    canvas = flat_canvas(Size(20, 20))
    before = canvas.y.copy()
    for at in ((-9.0, 5.0), (5.0, -9.0), (21.0, 5.0), (5.0, 40.0)):
        canvas.paste(sprite, Placement.of(pivot=(0, 0), at=at, scale=1), 1)
    np.testing.assert_array_equal(canvas.y, before)
    assert not canvas.truth.any()


def test_the_lens_mixes_only_pixels_that_touch_an_edge() -> None:
    canvas = flat_canvas(Size(64, 48))
    grey = int(canvas.y[0, 0])
    canvas.polygons(np.array([[[10.0, 5], [50, 9], [42, 40], [13, 33]]]), RED, 1)
    red = int(canvas.y[20, 30])
    planes, truth = canvas.finish(lens=True)
    pure = np.where(truth == 1, red, grey)
    edge = near_an_edge(truth)
    np.testing.assert_array_equal(planes.y[~edge], pure[~edge])
    middle = (red + grey) / 2
    assert (abs(planes.y[edge] - pure[edge].astype(int)) <= abs(red - middle)).mean() > 0.95


@pytest.mark.parametrize("seed", [1, 2])
def test_portrait_background_shows_wherever_the_truth_says_so(seed: int) -> None:
    made = film(f"portrait?size=321x181&fps=1&seed={seed}", lens=False)
    pictures = [made.picture(k) for k in range(8)]
    first = pictures[0]
    assert 0.1 < first.truth.mean() < 0.7
    for other in pictures[1:]:
        shared = (first.truth == 0) & (other.truth == 0)
        np.testing.assert_array_equal(first.planes.y[shared], other.planes.y[shared])
        kernel = np.ones((3, 3), np.uint8)
        rim = (first.truth == 1) & (cv2.erode(src=first.truth, kernel=kernel) == 0)
        uncovered = rim & (other.truth == 0)
        differs = first.planes.y[uncovered] != other.planes.y[uncovered]
        assert differs.sum() >= 0.85 * differs.size


def test_the_person_in_the_portrait_moves_and_sometimes_raises_a_hand() -> None:
    made = film("portrait?size=160x90&fps=4&seed=1")
    areas = [int(made.picture(k).truth.sum()) for k in range(28)]
    assert max(areas) > 1.05 * sorted(areas)[7]
    assert not same(made.picture(0), made.picture(1))


def test_every_shape_has_its_own_colour_and_number() -> None:
    made = film("shapes?size=333x201&fps=2&seed=5", lens=False)
    colours: dict[int, set[int]] = {}
    for k in range(6):
        picture = made.picture(k)
        for number in range(1, 10):
            seen = set(np.unique(picture.planes.y[picture.truth == number]).tolist())
            assert len(seen) <= 2  # the shape and the mark inside it
            colours.setdefault(number, set()).update(seen)
    assert all(len(seen) == 2 for seen in colours.values())
    still = (made.picture(0).truth == 0) & (made.picture(4).truth == 0)
    np.testing.assert_array_equal(made.picture(0).planes.y[still], made.picture(4).planes.y[still])


def test_road_shows_all_eleven_classes_and_a_sky_that_stands_still() -> None:
    made = film("road?size=480x270&fps=1&seed=1", lens=False)
    pictures = [made.picture(k) for k in range(12)]
    found = set(np.unique(np.stack([p.truth for p in pictures])).tolist())
    assert found == set(range(11))
    assert len(made.labels) == 11
    sky = (pictures[0].truth == 0) & (pictures[5].truth == 0)
    assert sky.any()
    np.testing.assert_array_equal(pictures[0].planes.y[sky], pictures[5].planes.y[sky])
    road = pictures[0].truth == made.labels.index("Road")
    assert road[-1, 240]
    assert not road[: 270 // 3].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", SCENES)
def test_any_size_is_drawn(scene: str, size: str) -> None:
    made = film(f"{scene}?size={size}&fps=3&noise=3&light=0.2")
    width, height = map(int, size.split("x"))
    for k in (0, 4):
        planes, truth = made.picture(k)
        assert planes.y.shape == truth.shape == (height, width)
        assert planes.u.shape == planes.v.shape == ((height + 1) // 2, (width + 1) // 2)
        assert {p.dtype for p in (planes.y, planes.u, planes.v, truth)} == {np.dtype(np.uint8)}
        assert truth.max() < len(made.labels)


@pytest.mark.parametrize("scene", SCENES)
def test_a_frame_depends_on_seed_and_number_alone(scene: str) -> None:
    query = f"{scene}?size=120x80&noise=3&light=0.3&cut=5&repeat=9"
    straight, jumping = film(query), film(query)
    expected = {k: straight.picture(k) for k in range(11)}
    for k in (10, 2, 7, 2, 0):
        assert same(jumping.picture(k), expected[k])
    assert not same(film(f"{query}&seed=2").picture(2), expected[2])


def test_a_cut_changes_the_place_and_a_repeat_changes_nothing() -> None:
    made = film("portrait?size=120x80&speed=0&cut=3,6&repeat=5&noise=2")
    calm = film("portrait?size=120x80&speed=0&cut=3,6")
    assert same(calm.picture(0), calm.picture(2))
    luma = [calm.picture(k).planes.y.astype(int) for k in range(8)]
    assert abs(luma[2] - luma[3]).mean() > 10
    assert abs(luma[5] - luma[6]).mean() > 10
    assert same(made.picture(5), made.picture(4))
    assert not same(made.picture(4), made.picture(3))  # the noise is another


def test_noise_and_light_have_the_asked_strength_and_leave_the_truth() -> None:
    plain = film("shapes?size=320x180&fps=4").picture(4)
    noisy = film("shapes?size=320x180&fps=4&noise=6").picture(4)
    lit = film("shapes?size=320x180&fps=4&light=0.3").picture(4)
    for other in (noisy, lit):
        np.testing.assert_array_equal(plain.truth, other.truth)
    noise = noisy.planes.y.astype(float) - plain.planes.y
    assert 5.5 < noise.std() < 6.5
    assert abs(noise.mean()) < 0.3
    dim = plain.planes.y < 180  # a second in, the light is at its height
    ratio = (lit.planes.y[dim] - 16.0) / (plain.planes.y[dim] - 16.0)
    assert abs(np.median(ratio) - 1.3) < 0.02


def test_speed_scales_time() -> None:
    fast = film("shapes?size=90x60&fps=10&speed=3")
    slow = film("shapes?size=90x60&fps=10")
    assert same(fast.picture(2), slow.picture(6))
