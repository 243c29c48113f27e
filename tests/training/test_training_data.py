"""Loading, balance and decoding of the training data."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgeseg.training.datasets import (
    Sample,
    balanced_sources,
    batches,
    decode_rle,
    people_mask,
    surroundings,
)


def test_mixture_is_met_exactly_and_in_random_order() -> None:
    mixture = {"meow": 0.1, "celeb": 0.5, "none": 0.4}
    order = balanced_sources(mixture, 200, np.random.default_rng(0))
    assert Counter(order) == {"meow": 20, "celeb": 100, "none": 80}
    assert order[:100] != sorted(order[:100])
    assert order == balanced_sources(mixture, 200, np.random.default_rng(0))
    assert order != balanced_sources(mixture, 200, np.random.default_rng(1))


def test_shares_need_not_sum_to_one_or_divide_evenly() -> None:
    order = balanced_sources({"a": 1, "b": 1, "c": 1}, 10, np.random.default_rng(0))
    assert len(order) == 10
    assert sorted(Counter(order).values()) == [3, 3, 4]


def test_only_full_batches() -> None:
    assert list(batches(["a", "b", "c", "d", "e"], 2)) == [["a", "b"], ["c", "d"]]


def test_run_lengths_run_down_the_columns() -> None:
    mask = decode_rle({"size": [2, 3], "counts": [1, 2, 3]})
    assert mask.tolist() == [[False, True, False], [True, False, False]]


def person(x0: int, x1: int, *, crowd: int = 0) -> dict[str, object]:
    """Annotation of the columns x0 to x1 of a 2 x 10 picture."""
    counts = [2 * x0, 2 * (x1 - x0), 2 * (10 - x1)]
    segmentation = {"size": [2, 10], "counts": counts}
    return {"area": 2 * (x1 - x0), "iscrowd": crowd, "segmentation": segmentation}


def test_crowds_and_small_bystanders_are_ignored() -> None:
    people = [person(0, 5), person(6, 7), person(8, 10, crowd=1)]
    assert people_mask(people, 2, 10, 0.3)[0].tolist() == [1] * 5 + [0, 255, 0, 255, 255]
    assert people_mask(people, 2, 10, 0.0)[0].tolist() == [1] * 5 + [0, 1, 0, 255, 255]


def test_surroundings_are_the_wider_side_without_the_person() -> None:
    image = np.arange(300, dtype=np.uint16).astype(np.uint8)[None, :, None].repeat(3, axis=2)
    mask = np.zeros((1, 300), np.uint8)
    mask[0, 110:150] = 1
    strip = surroundings(Sample(image, mask, "x"))
    assert strip is not None
    assert strip.shape == (1, 146, 3)
    assert np.array_equal(strip, image[:, 154:])
    mask[0, 50:250] = 1
    assert surroundings(Sample(image, mask, "x")) is None
