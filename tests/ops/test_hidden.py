"""Cells large enough, masks generous, everything inside the picture."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.ops.hidden import Piece, cell_side, hide, whole
from edgeseg.types import Planes, Rect, Size


def noise(size: Size) -> Planes:
    rng = np.random.default_rng(0)
    planes = Planes.empty(size)
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = rng.integers(0, 256, plane.shape, np.uint8)
    return planes


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [(300, 300, 50), (100, 300, 17), (300, 100, 17), (12, 40, 8), (1, 1, 8)],
)
def test_cells_are_a_sixth_of_the_shorter_side_and_never_tiny(
    width: int, height: int, least: int
) -> None:
    side = cell_side(Rect(0, 0, width, height), Size(640, 360))
    assert least <= side <= 1.5 * least + 1


def test_cells_keep_their_size_while_an_object_changes_its_a_little() -> None:
    sides = {cell_side(Rect(0, 0, width, 400), Size(640, 360)) for width in range(200, 260)}
    assert len(sides) <= 2


def test_a_tiny_picture_has_cells_of_a_pixel() -> None:
    assert cell_side(Rect(0, 0, 1, 1), Size(1, 1)) == 1


@pytest.mark.parametrize(
    "size", [Size(1, 1), Size(2, 2), Size(3, 5), Size(101, 67), Size(320, 180)]
)
def test_a_whole_picture_becomes_cells_of_their_mean(size: Size) -> None:
    planes, out = noise(size), Planes.empty(size)
    hide(planes, whole(size), "pixelate", out)
    assert abs(float(out.y.mean()) - float(planes.y.mean())) < 8
    side = 2 * cell_side(Rect(0, 0, *size.chroma), size.chroma)
    cell = np.s_[: min(side, size.height), : min(side, size.width)]
    assert len(np.unique(out.y[cell])) <= 4, "border cells may be a little smaller than the rest"


def test_only_masked_pixels_are_written_and_each_cell_is_one_colour() -> None:
    size = Size(320, 180)
    planes, out = noise(size), Planes.empty(size)
    for plane in (out.y, out.u, out.v):
        plane[:] = 7
    box = Rect(40, 20, 100, 70)
    mask = np.zeros((50, 60), np.uint8)
    mask[5:45, 5:55] = 255
    hide(planes, Piece(box, mask), "pixelate", out)
    written = np.zeros(out.u.shape, np.bool_)
    written[25:65, 45:95] = True
    assert (out.u[~written] == 7).all()
    assert (out.y[~written.repeat(2, axis=0).repeat(2, axis=1)] == 7).all()
    side = cell_side(box, size.chroma)
    left, top = -(-45 // side) * side, -(-25 // side) * side
    cell = np.s_[top : top + side, left : left + side]
    assert len(np.unique(out.u[cell])) == 1
    assert abs(int(out.u[cell][0, 0]) - planes.u[cell].mean()) <= 1
    luma = np.s_[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)]
    assert len(np.unique(out.y[luma])) == 1
    assert abs(int(out.y[luma][0, 0]) - planes.y[luma].mean()) <= 1


def test_blur_shows_no_more_than_cells_do() -> None:
    """Every level lies between those of the cells around it."""
    size = Size(320, 180)
    planes = noise(size)
    cells, soft = Planes.empty(size), Planes.empty(size)
    hide(planes, whole(size), "pixelate", cells)
    hide(planes, whole(size), "blur", soft)
    assert soft.y.min() >= cells.y.min()
    assert soft.y.max() <= cells.y.max()
    assert np.abs(np.diff(soft.y.astype(int), axis=1)).max() <= 3
