"""Losses of scenes against hand-computed and brute-force values."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg.training.config import SceneLoss
from edgeseg.training.scene.losses import (
    class_weights,
    lovasz_softmax,
    scene_loss,
    weighted_cross_entropy,
)

PLAIN = SceneLoss(lovasz=0.0, coarse=0.0, stride=1)
EVEN = torch.ones(3)


def hard_logits(labels: Tensor, classes: int, sureness: float = 100.0) -> Tensor:
    """Logits [N, C, H, W] that are sure of `labels` [N, H, W]."""
    return F.one_hot(labels, classes).permute(0, 3, 1, 2).float() * sureness


def test_class_weights_by_hand() -> None:
    pixels = torch.tensor([400, 100, 25, 0])  # median of those seen: 100
    assert class_weights(pixels, 1.0).tolist() == pytest.approx([0.25, 1.0, 4.0, 0.0])
    assert class_weights(pixels, 0.5).tolist() == pytest.approx([0.5, 1.0, 2.0, 0.0])
    assert class_weights(pixels, 0.0).tolist() == [1.0, 1.0, 1.0, 0.0]


def test_weighted_cross_entropy_by_hand() -> None:
    """Two pixels: -log p of .8 and .5, weighing 1 and 3, and one ignored."""
    logits = torch.log(torch.tensor([[[[0.8, 0.5, 0.1]], [[0.2, 0.5, 0.9]]]]))
    labels = torch.tensor([[[0, 1, 255]]])
    loss = weighted_cross_entropy(logits, labels, torch.tensor([1.0, 3.0]))
    assert float(loss) == pytest.approx(-(math.log(0.8) + 3 * math.log(0.5)) / 4)


def test_only_the_hardest_pixels_count() -> None:
    p = torch.tensor([0.9, 0.2, 0.6, 0.4, 0.5])  # the last one is ignored
    logits = torch.log(torch.stack([p, 1 - p])[None, :, None])
    labels = torch.tensor([[[0, 0, 0, 0, 255]]])
    loss = weighted_cross_entropy(logits, labels, torch.ones(2), hardest=0.5)
    assert float(loss) == pytest.approx(-(math.log(0.2) + math.log(0.4)) / 2)


@pytest.mark.parametrize("hardest", [1.0, 0.3])
def test_a_batch_of_void_asks_for_nothing(hardest: float) -> None:
    logits = [torch.randn((1, 3, 8, 8), requires_grad=True) for _ in range(2)]
    labels = torch.full((1, 16, 16), 255, dtype=torch.uint8)
    loss = scene_loss(logits, labels, EVEN, SceneLoss(hardest=hardest))
    loss.backward()
    assert float(loss.detach()) == 0.0
    for logit in logits:
        assert logit.grad is not None
        assert not logit.grad.any()


def jaccard_loss(predicted: Tensor, truth: Tensor) -> float:
    """Mean over the classes of `truth` of 1 - IoU."""
    losses = []
    for label in truth.unique():
        ours, theirs = predicted == label, truth == label
        losses.append(1 - float((ours & theirs).sum() / (ours | theirs).sum()))
    return float(np.mean(losses))


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_of_a_hard_prediction_is_the_jaccard_loss(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (2, 5, 7), generator=generator)
    predicted = torch.randint(0, 3, (2, 5, 7), generator=generator)
    loss = lovasz_softmax(hard_logits(predicted, 3), truth)
    assert float(loss) == pytest.approx(jaccard_loss(predicted, truth), abs=1e-6)


def test_lovasz_worked_example() -> None:
    """One hit, one miss, one false alarm of class 1 in 16 pixels: 1 - 1/3; class 0: 1 - 13/15."""
    truth, predicted = torch.zeros((1, 4, 4)).long(), torch.zeros((1, 4, 4)).long()
    truth[0, 0, :2] = 1
    predicted[0, 0, 1:3] = 1
    expected = ((1 - 1 / 3) + (1 - 13 / 15)) / 2
    assert float(lovasz_softmax(hard_logits(predicted, 2), truth)) == pytest.approx(expected)


def brute_lovasz(errors: list[float], truth: list[bool]) -> float:
    """Lovasz extension of the Jaccard loss of sets of wrong pixels (Berman et al., eq. 6 and 9)."""

    def jaccard(wrong: set[int]) -> float:
        union = wrong | {i for i, hit in enumerate(truth) if hit}
        return len(wrong) / len(union) if union else 0.0

    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    total, before = 0.0, 0.0
    for count in range(1, len(order) + 1):
        after = jaccard(set(order[:count]))
        total += errors[order[count - 1]] * (after - before)
        before = after
    return total


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_of_a_soft_prediction_is_the_extension(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (1, 3, 4), generator=generator)
    truth[0, 0, 0] = 255
    logits = torch.randn((1, 3, 3, 4), generator=generator)
    scored = truth.flatten() != 255
    probability = logits.softmax(1)[0].flatten(1)[:, scored]
    expected = []
    for label in truth.flatten()[scored].unique().tolist():
        hit = truth.flatten()[scored] == label
        errors = (hit.float() - probability[label]).abs()
        expected.append(brute_lovasz(errors.tolist(), hit.tolist()))
    assert float(lovasz_softmax(logits, truth)) == pytest.approx(float(np.mean(expected)), abs=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_sure_and_right_answer_costs_almost_nothing(stride: Literal[1, 2]) -> None:
    labels = torch.zeros((2, 24, 40), dtype=torch.uint8)
    labels[:, 8:, 16:] = 2
    config = SceneLoss(stride=stride)
    logits = hard_logits(labels.long(), 3)
    halves = [logits, logits[:, :, ::8, ::8]]
    assert float(scene_loss(halves, labels, EVEN, config)) < 0.3  # soft edges of coarse logits
    assert float(scene_loss([-logits, -logits], labels, EVEN, config)) > 10


@pytest.mark.parametrize("phase", range(4))
def test_each_phase_looks_at_another_pixel_of_the_two_by_two(phase: int) -> None:
    labels = torch.full((1, 8, 8), 255, dtype=torch.uint8)
    labels[:, phase // 2 :: 2, phase % 2 :: 2] = 1
    right = hard_logits(torch.ones((1, 4, 4)).long(), 3)
    config = SceneLoss(lovasz=0.0, coarse=0.0, stride=2)
    losses = [float(scene_loss([-right], labels, EVEN, config, phase=p)) for p in range(4)]
    assert [loss > 10 for loss in losses] == [p == phase for p in range(4)]


def test_ignored_pixels_have_no_gradient() -> None:
    labels = torch.zeros((1, 16, 16), dtype=torch.uint8)
    labels[:, :8] = 255
    logit = torch.zeros((1, 3, 16, 16), requires_grad=True)
    scene_loss([logit], labels, EVEN, SceneLoss(stride=1)).backward()
    assert logit.grad is not None
    assert not logit.grad[:, :, :8].any()
    assert logit.grad[:, :, 8:].any()


def test_heads_of_mixed_precision_and_odd_sizes_are_taken() -> None:
    labels = torch.randint(0, 3, (2, 37, 51)).to(torch.uint8)
    logits = [torch.randn(2, 3, h, w).bfloat16() for h, w in ((19, 26), (10, 13), (3, 4))]
    assert math.isfinite(float(scene_loss(logits, labels, EVEN, SceneLoss())))


@pytest.mark.parametrize("config", [PLAIN, SceneLoss(), SceneLoss(hardest=0.2, stride=1)])
def test_the_loss_falls_along_its_gradient(config: SceneLoss) -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 16, 16)).to(torch.uint8)
    logits = [torch.randn(2, 3, 16, 16, requires_grad=True), torch.randn(2, 3, 4, 4)]
    loss = scene_loss(logits, labels, EVEN, config)
    loss.backward()
    assert logits[0].grad is not None
    step = logits[0].detach() - 5.0 * logits[0].grad
    assert float(scene_loss([step, logits[1]], labels, EVEN, config)) < float(loss.detach())
