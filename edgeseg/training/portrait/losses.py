"""Loss of person logits against masks with ignored pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.config import PortraitLoss

_EMPTY_AREA = 0.005  # of the picture: keeps Dice finite and gentle on frames without a person


def edge_band(person: Tensor) -> Tensor:
    """1.0 near the outline of `person` [N, 1, H, W] (about 1/64 of the width), else 0.0."""
    radius = max(1, person.shape[-1] // 64)
    return _grown(person, radius) + _grown(-person, radius)


def _grown(x: Tensor, radius: int) -> Tensor:
    """Maximum over a square window, one axis after the other (4x faster than at once)."""
    side = 2 * radius + 1
    rows = F.max_pool2d(x, (side, 1), 1, (radius, 0))
    return F.max_pool2d(rows, (1, side), 1, (0, radius))


def weighted_bce(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean binary cross-entropy with per-pixel `weight`; all [N, 1, H, W]."""
    loss = F.binary_cross_entropy_with_logits(logit, target, weight, reduction="sum")
    return loss / weight.sum().clamp_min(1.0)


def dice_loss(logit: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """One minus soft Dice per picture, averaged; all [N, 1, H, W]."""
    probability = torch.sigmoid(logit) * valid
    hit = (probability * target).sum(dim=(1, 2, 3))
    total = (probability + target * valid).sum(dim=(1, 2, 3))
    slack = _EMPTY_AREA * logit.shape[-1] * logit.shape[-2]
    return (1.0 - (2.0 * hit + slack) / (total + slack)).mean()


def segmentation_loss(
    logits: list[Tensor], mask: Tensor, config: PortraitLoss, soft: Tensor | None = None
) -> Tensor:
    """Edge-weighted cross-entropy plus Dice on `logits[0]`, cross-entropy on the coarser ones.

    Args:
        logits: [N, 1, h, w] each, finest first, at any strides.
        mask: uint8 [N, H, W] with 0, 1 and 255.
        config: weights of the terms.
        soft: a teacher's probabilities [N, 1, H, W], blended in by `config.teacher`.
    """
    valid = (mask != IGNORE).float().unsqueeze(1)
    person = (mask == 1).float().unsqueeze(1)
    weight = valid * (1.0 + config.edge_weight * edge_band(person))
    target = person if soft is None else person.lerp(soft, config.teacher)
    logits = [logit.float() for logit in logits]  # of a network in mixed precision
    fine = F.interpolate(logits[0], mask.shape[-2:], mode="bilinear", align_corners=False)
    loss = weighted_bce(fine, target, weight) + config.dice * dice_loss(fine, target, valid)
    for logit in logits[1:]:
        side = (logit.shape[-2], logit.shape[-1])
        share = F.adaptive_avg_pool2d(valid, side)
        coarse = F.adaptive_avg_pool2d(target * valid, side) / share.clamp_min(1e-3)
        loss = loss + config.coarse * weighted_bce(logit, coarse, share)
    return loss
