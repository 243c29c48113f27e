"""YOLACT's losses (Bolya et al. 2019, sec. 3.4) on partly labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg.models.yolact import Raw, encode_boxes
from edgeseg.training.config import InstanceLoss

IGNORE = 255
_POSITIVE, _NEGATIVE = 0.5, 0.4  # box IoU; between them an anchor is not judged (sec. 6)
_NEAR = 1.3  # how much a lone object's box grows to what is known around it


@dataclass(frozen=True)
class Objects:
    """Truth of one picture: boxes_xyxy float [M, 4] and classes int64 [M] of objects 1..M in `ids`.

    ids: uint8 [H, W]. labelled: bool [C]. near_only: only anchors near the objects are judged.
    """

    boxes_xyxy: Tensor
    classes: Tensor
    ids: Tensor
    labelled: Tensor
    near_only: bool


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU [P, Q] of boxes x0, y0, x1, y1: [P, 4] and [Q, 4]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp_min(0).prod(dim=2)
    areas = [(x[:, 2:] - x[:, :2]).clamp_min(0).prod(dim=1) for x in (a, b)]
    return both / (areas[0][:, None] + areas[1][None] - both).clamp_min(1e-6)


def match(priors: Tensor, truth: Objects) -> tuple[Tensor, Tensor]:
    """Object of each anchor (int64 [A], 0-based) and its state (1 has it, 0 none, -1 not judged).

    Every object gets its best anchor however small the overlap (yolact `box_utils.py` match).
    """
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], 1)
    height, width = truth.ids.shape
    column = priors[:, 0].long().clamp(0, width - 1)
    row = priors[:, 1].long().clamp(0, height - 1)
    state = torch.zeros(len(priors), dtype=torch.int64)
    state[truth.ids[row, column] == IGNORE] = -1
    which = torch.zeros(len(priors), dtype=torch.int64)
    if not len(truth.classes):
        return which, state
    overlap = box_iou(corners, truth.boxes_xyxy)
    best, which = overlap.max(dim=1)
    state[best >= _NEGATIVE] = -1
    if truth.near_only:
        state[(state == 0) & ~_near(priors, truth.boxes_xyxy)] = -1
    state[best >= _POSITIVE] = 1
    strongest = overlap.argmax(dim=0)
    state[strongest] = 1
    which[strongest] = torch.arange(len(truth.classes))
    return which, state


def _near(priors: Tensor, boxes: Tensor) -> Tensor:
    """Whether an anchor's centre lies in one of the boxes, grown."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * _NEAR
    off = (priors[:, None, :2] - center[None]).abs()
    return (off <= half[None]).all(dim=2).any(dim=1)


def focal_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum of the sigmoid focal loss (Lin et al. 2017, arXiv 1708.02002, eq. 5), all [A, C]."""
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = torch.sigmoid(logits)
    missed = torch.where(target > 0, 1 - probability, probability)
    share = torch.where(target > 0, 0.25, 0.75)
    return (weight * share * missed.square() * each).sum()


def mask_loss(prototypes: Tensor, coefficients: Tensor, which: Tensor, truth: Objects) -> Tensor:
    """Sum over positive anchors of the mean binary cross-entropy inside the object's box.

    prototypes [K, h, w], coefficients [P, K], which [P] (sec. 3.4: cropped, divided by box area).
    """
    _, h, w = prototypes.shape
    height, width = truth.ids.shape
    numbers = torch.arange(1, len(truth.classes) + 1)[:, None, None]
    whole = (truth.ids[None] == numbers).float()
    masks = F.interpolate(whole[None], (h, w), mode="area")[0]
    scale = torch.tensor([w / width, h / height] * 2)
    x0, y0, x1, y1 = (truth.boxes_xyxy * scale).unbind(dim=1)
    ys, xs = torch.arange(h) + 0.5, torch.arange(w) + 0.5
    tall = (ys[None] >= y0[:, None] - 1) & (ys[None] <= y1[:, None] + 1)
    wide = (xs[None] >= x0[:, None] - 1) & (xs[None] <= x1[:, None] + 1)
    inside = (tall[:, :, None] & wide[:, None, :]).float()
    inside = inside / inside.sum(dim=(1, 2), keepdim=True).clamp_min(1)
    logits = (coefficients @ prototypes.flatten(1)).view(-1, h, w)
    each = F.binary_cross_entropy_with_logits(logits, masks[which], reduction="none")
    return (each * inside[which]).sum()


def semantic_loss(logits: Tensor, truth: Objects) -> Tensor:
    """Mean binary cross-entropy of class presence at stride 8, [C, h, w], labelled classes only."""
    size = (logits.shape[-2], logits.shape[-1])
    valid = (truth.ids != IGNORE).float() * (0.0 if truth.near_only else 1.0)
    valid = torch.maximum(valid, ((truth.ids > 0) & (truth.ids != IGNORE)).float())
    planes = torch.zeros((len(truth.labelled), *truth.ids.shape))
    for number in truth.classes.unique().tolist():
        own = (truth.classes == number).nonzero().flatten() + 1
        planes[number] = torch.isin(truth.ids.long(), own).float()
    share = F.adaptive_avg_pool2d(valid[None], size)
    target = F.adaptive_avg_pool2d(planes * valid, size) / share.clamp_min(1e-3)
    weight = share * truth.labelled.float()[:, None, None]
    each = F.binary_cross_entropy_with_logits(logits, target.clamp(0, 1), reduction="none")
    return (each * weight).sum() / weight.sum().clamp_min(1.0)


def instance_loss(raw: Raw, truths: list[Objects], priors: Tensor, config: InstanceLoss) -> Tensor:
    """Class, box, mask and semantic loss of a batch, the first three per positive anchor."""
    classes = raw.logits.shape[2]
    total = raw.logits.new_zeros(())
    semantic = raw.logits.new_zeros(())
    positives = 0
    for i, truth in enumerate(truths):
        which, state = match(priors, truth)
        target = torch.zeros(len(priors), classes)
        weight = (state >= 0).float()[:, None] * truth.labelled.float()[None]
        chosen = (state == 1).nonzero().flatten()
        if len(chosen):
            numbers = truth.classes[which[chosen]]
            target[chosen, numbers] = 1.0
            weight[chosen] = 1.0  # whatever was labelled, a person is no car
            total = total + _object_losses(raw, i, chosen, which, truth, priors, config)
        total = total + config.classes * focal_loss(raw.logits[i].float(), target, weight)
        semantic = semantic + semantic_loss(raw.semantic[i].float(), truth)
        positives += len(chosen)
    return total / max(1, positives) + config.semantic * semantic / len(truths)


def _object_losses(
    raw: Raw,
    i: int,
    chosen: Tensor,
    which: Tensor,
    truth: Objects,
    priors: Tensor,
    config: InstanceLoss,
) -> Tensor:
    offsets = encode_boxes(truth.boxes_xyxy[which[chosen]], priors[chosen])
    box = F.smooth_l1_loss(raw.offsets[i, chosen].float(), offsets, reduction="sum")
    if len(chosen) > config.most_masks:
        some = torch.linspace(0, len(chosen) - 1, config.most_masks).round().long()
        scale, chosen = len(chosen) / config.most_masks, chosen[some]
    else:
        scale = 1.0
    mask = mask_loss(
        raw.prototypes[i].float(), raw.coefficients[i, chosen].float(), which[chosen], truth
    )
    return config.box * box + config.mask * scale * mask
