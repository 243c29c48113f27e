"""Run lengths against hand-made cases, and against the COCO API where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from edgeseg.ops.rle import Runs, compress, label_runs, mask_from_counts, mask_runs
from edgeseg.types import U8, Rect, Size


def whole(mask: U8) -> Runs:
    height, width = mask.shape
    return mask_runs(mask, Rect(0, 0, width, height), Size(width, height))


def expand(runs: Runs) -> U8:
    """The mask from its counts, by the definition of the format."""
    flat: list[int] = []
    for turn, count in enumerate(runs.counts()):
        flat += [turn % 2] * int(count)
    mask: U8 = np.array(flat, np.uint8).reshape(runs.size.width, runs.size.height).T
    return mask


def read(text: str) -> list[int]:
    """The counts in a text, read the way the COCO API does."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        going = True
        while going:
            letter = ord(text[at]) - 48
            value |= (letter & 31) << shift
            going = bool(letter & 32)
            at, shift = at + 1, shift + 5
            if not going and letter & 16:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def test_columns_come_first() -> None:
    """0 1 1 over 0 1 0: down the columns that is 0 0, 1 1, 1 0."""
    mask = np.array([[0, 1, 1], [0, 1, 0]], np.uint8)
    assert whole(mask).counts().tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("rows", "counts", "box"),
    [
        ([[1]], [0, 1], (0, 0, 1, 1)),
        ([[0]], [1], (0, 0, 0, 0)),
        ([[1, 1], [1, 1]], [0, 4], (0, 0, 2, 2)),
        ([[0, 0], [0, 0]], [4], (0, 0, 0, 0)),
        ([[1, 0], [0, 1]], [0, 1, 2, 1], (0, 0, 2, 2)),
        ([[0, 0, 0], [0, 1, 1], [0, 1, 1]], [4, 2, 1, 2], (1, 1, 2, 2)),
        ([[0, 1], [0, 1], [1, 0]], [2, 3, 1], (0, 0, 2, 3)),
    ],
)
def test_hand_made_masks(
    rows: list[list[int]], counts: list[int], box: tuple[int, int, int, int]
) -> None:
    runs = whole(np.array(rows, np.uint8))
    assert runs.counts().tolist() == counts
    assert runs.area == sum(map(sum, rows))
    assert runs.box_xywh == box


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([0], "0"),
        ([1], "1"),
        ([15], "?"),
        ([16], "`0"),
        ([5, 2], "52"),
        ([0, 4], "04"),
        ([1, 2, 3, 2], "1230"),
        ([10, 20, 30, 18, 33], ":d0n0N3"),
    ],
)
def test_texts_worked_out_by_hand(counts: list[int], text: str) -> None:
    """Five bits a letter from '0' on, the lowest first, 32 for "more follows", 16 for the sign."""
    assert compress(np.array(counts, np.int64)) == text
    assert read(text) == counts


def test_texts_of_large_counts() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 2**31, 200)
    assert read(compress(counts)) == counts.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_a_mask_placed_in_a_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 12, 2))
    left, top = (int(side) for side in rng.integers(0, 3, 2))
    size = Size(left + width + int(rng.integers(0, 3)), top + height + int(rng.integers(0, 3)))
    mask = (rng.random((height, width)) < rng.choice([0.1, 0.5, 0.95])).astype(np.uint8) * 255
    full = np.zeros((size.height, size.width), np.uint8)
    full[top : top + height, left : left + width] = mask > 0
    runs = mask_runs(mask, Rect(left, top, left + width, top + height), size)
    np.testing.assert_array_equal(expand(runs), full)
    assert runs.area == full.sum()
    assert read(runs.text()) == runs.counts().tolist()
    rows, columns = np.nonzero(full)
    if len(rows):
        x, y, w, h = runs.box_xywh
        assert (x, y, x + w - 1, y + h - 1) == (
            columns.min(),
            rows.min(),
            columns.max(),
            rows.max(),
        )


def test_an_empty_place() -> None:
    runs = mask_runs(np.zeros((0, 0), np.uint8), Rect(3, 2, 3, 2), Size(5, 4))
    assert runs.counts().tolist() == [20]
    assert runs.area == 0


def test_every_class_of_a_label_picture() -> None:
    labels = np.array([[7, 7, 0], [7, 2, 0], [0, 2, 0]], np.uint8)
    found = dict(label_runs(labels))
    assert list(found) == [0, 2, 7]
    for number, runs in found.items():
        np.testing.assert_array_equal(expand(runs), labels == number)
    assert sum(runs.area for runs in found.values()) == labels.size


@pytest.mark.skipif(
    importlib.util.find_spec("pycocotools") is None, reason="the COCO API is not installed"
)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_the_same_as_the_coco_api(density: float) -> None:
    from pycocotools import mask as api

    rng = np.random.default_rng(1)
    mask = (rng.random((97, 131)) < density).astype(np.uint8)
    mask[20:60, 30:90] = 1
    want = api.encode(np.asfortranarray(mask))
    runs = whole(mask)
    assert runs.text() == want["counts"].decode()
    assert runs.area == api.area(want)
    assert list(runs.box_xywh) == api.toBbox(want).tolist()


@pytest.mark.parametrize("mask", [[[0, 0, 1], [1, 0, 1]], [[1, 1], [1, 1]], [[0, 0, 0]], [[1]]])
def test_counts_give_the_mask_back(mask: list[list[int]]) -> None:
    picture = np.array(mask, np.uint8)
    size = Size(picture.shape[1], picture.shape[0])
    counts = mask_runs(picture, Rect(0, 0, *size), size).counts()
    np.testing.assert_array_equal(mask_from_counts(counts.tolist(), size), picture == 1)


@pytest.mark.parametrize("counts", [[5], [2, 5], [-1, 7]])
def test_counts_of_another_picture_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - numpy words it
        mask_from_counts(counts, Size(3, 2))
