"""Order of samples, and tensors on the device that computes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
from torch import Tensor, nn

from edgeseg.training.batching import (
    balanced_order,
    device_of,
    in_batches,
    on_device,
    shuffled_batches,
    to_input,
)


def test_mixture_is_met_exactly_and_in_random_order() -> None:
    mixture = {"meow": 0.1, "celeb": 0.5, "none": 0.4}
    order = balanced_order(mixture, 200, np.random.default_rng(0))
    assert Counter(order) == {"meow": 20, "celeb": 100, "none": 80}
    assert order[:100] != sorted(order[:100])
    assert order == balanced_order(mixture, 200, np.random.default_rng(0))
    assert order != balanced_order(mixture, 200, np.random.default_rng(1))


def test_shares_need_not_sum_to_one_or_divide_evenly() -> None:
    order = balanced_order({"a": 1, "b": 1, "c": 1}, 10, np.random.default_rng(0))
    assert len(order) == 10
    assert sorted(Counter(order).values()) == [3, 3, 4]


def test_only_full_batches() -> None:
    assert list(in_batches(["a", "b", "c", "d", "e"], 2)) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("items", [1, 3, 7, 40])
def test_every_picture_is_drawn_as_often_as_any_other(items: int) -> None:
    batches = list(shuffled_batches(items, 22, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [4] * 5
    counts = Counter(index for batch in batches for index in batch)
    assert set(counts) <= set(range(items))
    drawn = [counts[index] for index in range(items)]
    assert max(drawn) - min(drawn) <= 1


def test_input_is_channels_last_between_minus_one_and_one() -> None:
    images = np.zeros((2, 5, 7, 3), np.uint8)
    images[0, 1, 2] = (255, 0, 51)
    x = to_input(images)
    assert x.shape == (2, 3, 5, 7)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x[0, :, 1, 2].tolist() == pytest.approx([1.0, -1.0, -0.6])


class Both(NamedTuple):
    labels: Tensor
    phase: int


@dataclass(frozen=True)
class Truth:
    ids: Tensor
    near: bool


def test_targets_of_any_shape_move_to_the_device() -> None:
    meta = torch.device("meta")  # a device that every machine has
    targets = [Both(torch.ones(2), 3), Truth(torch.zeros(1), True), (torch.ones(1), "name")]
    both, truth, pair = on_device(targets, meta)
    assert (both.labels.device, both.phase) == (meta, 3)
    assert (truth.ids.device, truth.near) == (meta, True)
    assert (pair[0].device, pair[1]) == (meta, "name")
    assert isinstance(both, Both)
    assert isinstance(truth, Truth)


def test_a_network_tells_where_it_lies() -> None:
    assert device_of(nn.Conv2d(1, 1, 1)) == torch.device("cpu")
    assert device_of(nn.Conv2d(1, 1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
