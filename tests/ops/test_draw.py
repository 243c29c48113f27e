import cv2
import numpy as np
import pytest

from edgeseg.ops.draw import (
    blend,
    blend_planes,
    crop,
    enlarge,
    fill,
    outline,
    person_box,
    shrink_planes,
    small_grid,
    spread,
    sure,
)
from edgeseg.ops.masks import Alpha
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Planes, Rect, Size


def flat(size: Size, y: int, u: int = 128, v: int = 128) -> Planes:
    planes = Planes.empty(size)
    fill(planes, (y, u, v))
    return planes


def disc_alpha(size: Size, *, softness: float = 4) -> Alpha:
    y, x = np.mgrid[0 : size.chroma.height, 0 : size.chroma.width] + 0.5
    middle = np.hypot(x - size.chroma.width / 2, y - size.chroma.height / 2)
    level = np.clip((min(size) / 7 - middle) / softness + 0.5, 0, 1)
    chroma = np.rint(255 * level).astype(np.uint8)
    double = (size.chroma.width * 2, size.chroma.height * 2)
    luma: U8 = cv2.resize(src=chroma, dsize=double, interpolation=cv2.INTER_LINEAR)
    return Alpha(luma[: size.height, : size.width], chroma)


def every_pair() -> tuple[U8, U8]:
    levels = np.arange(256, dtype=np.uint8)
    return np.tile(levels, (256, 1)), np.tile(levels[:, None], (1, 256))


@pytest.mark.parametrize("under_level", [0, 1, 100, 254, 255])
def test_blend_is_right_to_one_level_and_exact_at_the_ends(under_level: int) -> None:
    over, alpha = every_pair()
    under = np.full_like(over, under_level)
    out = np.empty_like(over)
    blend(over, under, alpha, out, Scratch())
    want = (over * (alpha / 255)) + under * (1 - alpha / 255)
    assert np.abs(out - want).max() <= 1.0
    np.testing.assert_array_equal(out[255], over[255])
    assert (out[0] == under_level).all()


def test_blend_of_equal_levels_is_that_level() -> None:
    levels, alpha = every_pair()
    out = np.empty_like(levels)
    blend(levels, levels, alpha, out, Scratch())
    np.testing.assert_array_equal(out, levels)


def test_blend_into_either_input() -> None:
    rng = np.random.default_rng(0)
    over, under, alpha = (rng.integers(0, 256, (9, 7), np.uint8) for _ in range(3))
    want = np.empty_like(over)
    blend(over, under, alpha, want, Scratch())
    for choice in (0, 1):
        inputs = [over.copy(), under.copy()]
        blend(inputs[0], inputs[1], alpha, inputs[choice], Scratch())
        np.testing.assert_array_equal(inputs[choice], want)


def test_blend_writes_into_views_of_a_larger_picture() -> None:
    whole = flat(Size(40, 20), 50)
    part = crop(whole, Rect(5, 2, 12, 8))
    alpha = Alpha(np.full((12, 14), 255, np.uint8), np.full((6, 7), 255, np.uint8))
    blend_planes(flat(Size(14, 12), 200, 90, 160), part, alpha, part, Scratch())
    assert (whole.y[4:16, 10:24] == 200).all()
    assert (whole.u[2:8, 5:12] == 90).all()
    assert int((whole.y == 200).sum()) == 12 * 14
    assert int((whole.v == 160).sum()) == 6 * 7


def test_spread_takes_colours_from_weighted_pixels_only() -> None:
    left_only = np.zeros((40, 60), np.uint8)
    left_only[:, :30] = 255
    picture = np.where(left_only > 0, 80, 230).astype(np.uint8)
    out = spread((picture, picture, picture), left_only, sigma=3)
    for plane in out:
        assert np.abs(plane.astype(int) - 80).max() <= 1


def test_spread_without_any_weight_is_grey() -> None:
    picture = np.full((5, 8), 200, np.uint8)
    for plane in spread((picture, picture, picture), np.zeros((5, 8), np.uint8), sigma=2):
        assert (plane == 128).all()


def test_spread_of_full_weight_is_a_gaussian_blur() -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (45, 80), np.uint8)
    y, _, _ = spread((noise, noise, noise), np.full((45, 80), 255, np.uint8), sigma=2.0)
    want = cv2.GaussianBlur(
        src=noise.astype(np.float32), ksize=(13, 13), sigmaX=2.0, borderType=cv2.BORDER_REPLICATE
    )
    assert np.abs(y - want).max() <= 1.0


def test_sure_counts_only_nearly_full_shares() -> None:
    shares = np.array([[0, 128, 230, 239, 240, 247, 255]], np.uint8)
    weights = sure(shares)[0].tolist()
    assert weights[:4] == [0, 0, 0, 0]
    assert weights[4:6] == sorted(weights[4:6])
    assert weights[-1] == 255


def test_outline_is_a_thin_line_on_the_edge() -> None:
    size = Size(640, 360)
    alpha = disc_alpha(size, softness=20).chroma
    line = outline(alpha, size)
    assert line.shape == alpha.shape
    assert line[np.abs(alpha.astype(int) - 127) < 8].min() > 100
    assert (line[alpha == 255] == 0).all()
    assert (line[alpha == 0] == 0).all()
    circumference = 2 * np.pi * 360 / 7
    assert 1 < (line > 127).sum() / circumference < 4


def test_person_box_holds_the_person_and_no_more() -> None:
    alpha = disc_alpha(Size(320, 180)).chroma
    box, wider = person_box(alpha, margin=0), person_box(alpha, margin=3)
    assert box is not None
    part = alpha[box.top : box.bottom, box.left : box.right]
    assert (part > 0).sum() == (alpha > 0).sum()
    for border in (part[0], part[-1], part[:, 0], part[:, -1]):
        assert border.any()
    assert wider == Rect(box.left - 3, box.top - 3, box.right + 3, box.bottom + 3)


def test_person_box_of_nothing_and_of_one_pixel() -> None:
    assert person_box(np.zeros((2, 3), np.uint8), margin=2) is None
    assert person_box(np.full((1, 1), 100, np.uint8), margin=8) == Rect(0, 0, 1, 1)


def test_crop_of_odd_pictures_ends_at_the_border() -> None:
    planes = flat(Size(7, 5), 10)
    part = crop(planes, Rect(2, 1, 4, 3))
    assert part.size == Size(3, 3)
    assert part.u.shape == (2, 2)
    part.y[:] = 99
    assert int((planes.y == 99).sum()) == 9


def test_small_planes_and_back_keep_flat_colours() -> None:
    planes = flat(Size(101, 67), 77, 90, 200)
    small = shrink_planes(planes, small_grid(planes.size, 8))
    assert small[0].shape == (8, 12)
    out = Planes.empty(planes.size)
    enlarge(small, out)
    assert (out.y == 77).all()
    assert (out.u == 90).all()
    assert (out.v == 200).all()
    assert small_grid(Size(3, 2), 8) == Size(1, 1)


def test_fill_sets_every_plane() -> None:
    planes = Planes.empty(Size(3, 3), alpha=True)
    fill(planes, (1, 2, 3), alpha=4)
    assert planes.a is not None
    assert [int(p[0, 0]) for p in (planes.y, planes.u, planes.v, planes.a)] == [1, 2, 3, 4]
