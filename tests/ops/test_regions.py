"""Label pictures: enlarged without stairs and without inventing, and the lines between classes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.ops.regions import borders, enlarge_labels
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Size


@pytest.mark.parametrize(
    "size", [Size(40, 30), Size(80, 60), Size(101, 67), Size(640, 360), Size(3, 2), Size(1, 1)]
)
def test_enlarging_keeps_classes_and_places(size: Size) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 11, (6, 8), np.uint8)
    labels = np.kron(coarse, np.ones((5, 5))).astype(np.uint8)
    big = enlarge_labels(labels, size, Scratch())
    assert big.shape == (size.height, size.width)
    assert set(np.unique(big)) <= set(np.unique(labels))
    exact = cv2.resize(src=labels, dsize=tuple(size), interpolation=cv2.INTER_NEAREST)
    if min(size) >= 30:
        assert (big != exact).mean() < 0.12


def test_enlarging_rounds_stairs_off() -> None:
    """A disc drawn on the map comes nearer to the disc than its enlarged pixels do."""

    def disc(side: int) -> U8:
        y, x = (np.mgrid[0:side, 0:side] + 0.5) / side - 0.5
        inside: U8 = (np.hypot(x, y) < 0.31).astype(np.uint8)
        return inside

    want = disc(320)
    small = disc(40)
    plain = cv2.resize(src=small, dsize=(320, 320), interpolation=cv2.INTER_NEAREST)
    smooth = enlarge_labels(small, Size(320, 320), Scratch())
    assert (smooth != want).sum() < 0.75 * (plain != want).sum()


def test_what_is_one_pixel_wide_stays() -> None:
    labels = np.zeros((30, 40), np.uint8)
    labels[:, 12] = 5
    labels[20, :] = 6
    big = enlarge_labels(labels, Size(400, 300), Scratch())
    assert (big == 5)[50].sum() == pytest.approx(10, abs=1)
    assert (big == 6)[:, 300].sum() == pytest.approx(10, abs=1)


def test_borders_count_differing_neighbours() -> None:
    labels = np.zeros((8, 10), np.uint8)
    labels[:, 5:] = 3
    want = np.zeros((8, 10), np.uint8)
    want[:, 4:7] = 3
    np.testing.assert_array_equal(borders(labels, Scratch()), want)
    np.testing.assert_array_equal(borders(labels.T.copy(), Scratch()), want.T)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5)])
def test_one_class_has_no_borders(shape: tuple[int, int]) -> None:
    assert not borders(np.full(shape, 7, np.uint8), Scratch()).any()


def test_scratch_of_an_earlier_picture_leaves_no_trace() -> None:
    scratch = Scratch()
    rng = np.random.default_rng(0)
    borders(rng.integers(0, 9, (50, 60), np.uint8), scratch)
    enlarge_labels(rng.integers(0, 9, (50, 60), np.uint8), Size(300, 200), scratch)
    assert not borders(np.zeros((20, 30), np.uint8), scratch).any()
    assert not enlarge_labels(np.zeros((20, 30), np.uint8), Size(90, 70), scratch).any()
