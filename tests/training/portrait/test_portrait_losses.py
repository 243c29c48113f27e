"""The loss on cases whose answer is known."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch

from edgeseg.training.config import PortraitLoss
from edgeseg.training.portrait.losses import (
    dice_loss,
    edge_band,
    segmentation_loss,
    weighted_bce,
)


def half_mask() -> torch.Tensor:
    mask = torch.zeros((1, 64, 64), dtype=torch.uint8)
    mask[:, :, 32:] = 1
    return mask


def test_a_sure_and_right_answer_costs_almost_nothing() -> None:
    mask = half_mask()
    logit = (mask.float() * 2 - 1).unsqueeze(1) * 30
    assert float(segmentation_loss([logit], mask, PortraitLoss())) < 1e-4
    assert float(segmentation_loss([-logit], mask, PortraitLoss())) > 10


def test_undecided_cross_entropy_is_log_two_whatever_the_weights() -> None:
    weight = torch.rand((2, 1, 8, 8)) + 0.1
    loss = weighted_bce(torch.zeros((2, 1, 8, 8)), torch.ones((2, 1, 8, 8)), weight)
    assert float(loss) == pytest.approx(math.log(2))


def test_ignored_pixels_have_no_gradient() -> None:
    mask = half_mask()
    mask[:, :16] = 255
    logit = torch.zeros((1, 1, 64, 64), requires_grad=True)
    segmentation_loss([logit], mask, PortraitLoss()).backward()
    assert logit.grad is not None
    assert not logit.grad[:, :, :16].any()
    assert logit.grad[:, :, 16:].any()


def test_a_batch_of_ignored_pixels_is_finite() -> None:
    mask = torch.full((1, 64, 64), 255, dtype=torch.uint8)
    logits = [torch.zeros((1, 1, 32, 32)), torch.zeros((1, 1, 8, 8))]
    assert math.isfinite(float(segmentation_loss(logits, mask, PortraitLoss())))


def test_empty_frames_ask_for_nothing() -> None:
    empty = torch.zeros((1, 1, 64, 64))
    valid = torch.ones_like(empty)
    assert float(dice_loss(torch.full_like(empty, -30.0), empty, valid)) < 1e-4
    assert float(dice_loss(torch.full_like(empty, 30.0), empty, valid)) > 0.9


def test_the_edge_band_lies_on_the_edge() -> None:
    band = edge_band(half_mask().float().unsqueeze(1))
    assert band[0, 0, 5].nonzero().flatten().tolist() == [31, 32]


def test_a_teacher_moves_the_target() -> None:
    mask = half_mask()
    logit = torch.zeros((1, 1, 64, 64), requires_grad=True)
    config = PortraitLoss(teacher=1.0, dice=0.0, edge_weight=0.0)
    soft = 1.0 - mask.float().unsqueeze(1)
    segmentation_loss([logit], mask, config, soft).backward()
    assert logit.grad is not None
    assert (logit.grad[..., 32:] > 0).all()
