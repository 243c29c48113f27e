import cv2
import numpy as np
import pytest

from edgeseg.ops.draw import blend_planes, fill
from edgeseg.ops.masks import Alpha
from edgeseg.ops.scratch import Scratch
from edgeseg.ops.soft_edge import lift, paste
from edgeseg.types import U8, Planes, Size

PERSON, ROOM = (190, 110, 150), (60, 140, 100)


def flat(size: Size, levels: tuple[int, int, int]) -> Planes:
    planes = Planes.empty(size)
    fill(planes, levels)
    return planes


def disc_alpha(size: Size, *, softness: float = 12) -> Alpha:
    y, x = np.mgrid[0 : size.chroma.height, 0 : size.chroma.width] + 0.5
    middle = np.hypot(x - size.chroma.width / 2, y - size.chroma.height / 2)
    level = np.clip((min(size) / 7 - middle) / softness + 0.5, 0, 1)
    chroma = np.rint(255 * level).astype(np.uint8)
    double = (size.chroma.width * 2, size.chroma.height * 2)
    luma: U8 = cv2.resize(src=chroma, dsize=double, interpolation=cv2.INTER_LINEAR)
    return Alpha(luma[: size.height, : size.width], chroma)


def filmed(size: Size, alpha: Alpha) -> Planes:
    """The person's flat colour composed over the room's."""
    mixed = flat(size, ROOM)
    blend_planes(flat(size, PERSON), mixed, alpha, mixed, Scratch())
    return mixed


def parts(planes: Planes, alpha: Alpha) -> list[tuple[U8, U8]]:
    return [(planes.y, alpha.luma), (planes.u, alpha.chroma), (planes.v, alpha.chroma)]


@pytest.mark.parametrize("size", [Size(320, 180), Size(201, 133)], ids=str)
def test_lifted_colours_are_the_persons_own(size: Size) -> None:
    alpha, out = disc_alpha(size), flat(size, (1, 2, 3))
    lift(filmed(size, alpha), alpha, out)
    for (plane, share), own, before in zip(parts(out, alpha), PERSON, (1, 2, 3), strict=True):
        error = np.abs(plane.astype(int) - own)[share > 0]
        assert error.mean() < 3
        assert error.max() <= 12
        assert (plane[share == 0] == before).all()


@pytest.mark.parametrize("size", [Size(320, 180), Size(201, 133)], ids=str)
@pytest.mark.parametrize("new", [(16, 128, 128), (235, 90, 200)], ids=str)
def test_pasted_edges_mix_the_person_with_the_new_background_only(
    size: Size, new: tuple[int, int, int]
) -> None:
    alpha, out, want = disc_alpha(size), flat(size, new), flat(size, new)
    paste(filmed(size, alpha), alpha, out)
    blend_planes(flat(size, PERSON), want, alpha, want, Scratch())
    for (plane, share), (wanted, _) in zip(parts(out, alpha), parts(want, alpha), strict=True):
        error = np.abs(plane.astype(int) - wanted)
        assert error[share > 0].mean() < 2
        assert error.max() <= 9
        np.testing.assert_array_equal(plane[share == 0], wanted[share == 0])


def test_opaque_pixels_are_the_picture_and_clear_ones_the_background() -> None:
    size = Size(320, 180)
    alpha, out = disc_alpha(size, softness=4), flat(size, (40, 50, 60))
    picture = flat(size, ROOM)
    picture.y[:] = np.random.default_rng(4).integers(16, 236, picture.y.shape)
    paste(picture, alpha, out)
    opaque = alpha.luma == 255
    np.testing.assert_array_equal(out.y[opaque], picture.y[opaque])
    assert (out.y[alpha.luma == 0] == 40).all()


def test_a_hard_edge_has_no_soft_pixels() -> None:
    size = Size(64, 36)
    hard = disc_alpha(size, softness=0.01)
    chroma = np.where(hard.chroma > 127, 255, 0).astype(np.uint8)
    alpha = Alpha(np.kron(chroma, np.ones((2, 2), np.uint8)), chroma)
    out = flat(size, (40, 50, 60))
    paste(flat(size, PERSON), alpha, out)
    assert set(np.unique(out.y)) == {40, PERSON[0]}


def test_views_of_a_larger_picture_are_drawn_on() -> None:
    size = Size(160, 90)
    alpha, whole, alone = disc_alpha(size), flat(Size(320, 90), (9, 9, 9)), flat(size, (9, 9, 9))
    right = Planes(whole.y[:, 160:], whole.u[:, 80:], whole.v[:, 80:])
    for draw in (paste, lift):
        draw(filmed(size, alpha), alpha, right)
        draw(filmed(size, alpha), alpha, alone)
        np.testing.assert_array_equal(whole.y[:, 160:], alone.y)
        np.testing.assert_array_equal(whole.u[:, 80:], alone.u)
    assert (whole.y[:, :160] == 9).all()
