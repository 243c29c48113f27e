"""Loss of class logits against label pictures with ignored pixels (255)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.config import SceneLoss


def class_weights(pixels: Tensor, power: float) -> Tensor:
    """Weight of each class from its pixel count: (median / count) ** power.

    Median-frequency balancing (Eigen and Fergus 2015, arXiv 1411.4734, sec. 6.3.2), softened by
    `power`; classes that never occur weigh nothing.
    """
    counts = pixels.double()
    seen = counts > 0
    ratio = counts[seen].median() / counts.clamp_min(1)
    return torch.where(seen, ratio**power, torch.zeros_like(ratio)).float()


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor, *, hardest: float = 1.0
) -> Tensor:
    """Mean cross-entropy of logits [N, C, H, W] with int64 labels [N, H, W], weighted by class.

    With `hardest` below 1 only that share of the scored pixels counts: online hard example mining
    (Shrivastava et al. 2016, arXiv 1604.03540, sec. 4.1).
    """
    if hardest >= 1.0:
        scored = weights[labels[labels != IGNORE]].sum()
        total = F.cross_entropy(logits, labels, weights, ignore_index=IGNORE, reduction="sum")
        return total / scored.clamp_min(1e-6)  # a batch of void costs nothing
    each = F.cross_entropy(logits, labels, weights, ignore_index=IGNORE, reduction="none").flatten()
    keep = max(1, int(hardest * int((labels != IGNORE).sum())))
    return each.topk(min(keep, len(each))).values.mean()


def lovasz_gradient(hits: Tensor) -> Tensor:
    """Gradient of the Lovasz extension of the Jaccard loss.

    `hits` [P] is 1 where the pixel has the class, pixels sorted by falling error (Berman et al.
    2018, arXiv 1705.08790, algorithm 1).
    """
    total = hits.sum()
    intersection = total - hits.cumsum(0)
    union = total + (1.0 - hits).cumsum(0)
    jaccard = 1.0 - intersection / union
    jaccard[1:] = jaccard[1:] - jaccard[:-1]
    return jaccard


def lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Lovasz-softmax over the classes present in the batch (Berman et al. 2018, sec. 3.1).

    logits [N, C, H, W], labels int64 [N, H, W] with 255 ignored.
    """
    scored = (labels != IGNORE).flatten()
    probability = logits.softmax(dim=1).permute(0, 2, 3, 1).flatten(0, 2)[scored]
    truth = labels.flatten()[scored]
    losses = []
    for label in truth.unique().tolist():
        hit = (truth == label).float()
        errors, order = (hit - probability[:, label]).abs().sort(descending=True)
        losses.append(torch.dot(errors, lovasz_gradient(hit[order])))
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0


def scene_loss(
    logits: list[Tensor], labels: Tensor, weights: Tensor, config: SceneLoss, *, phase: int = 0
) -> Tensor:
    """Cross-entropy on the finest logits, Lovasz on the second, cross-entropy on the coarser.

    Args:
        logits: [N, C, h, w] each, finest first.
        labels: uint8 [N, H, W].
        weights: [C].
        config: weights of the terms.
        phase: which pixel of each 2 x 2 is compared when `config.stride` is 2 (0 to 3).
    """
    row, column = divmod(phase % config.stride**2, config.stride)
    truth = labels[:, row :: config.stride, column :: config.stride].long()
    size = (truth.shape[-2], truth.shape[-1])
    fine = F.interpolate(logits[0].float(), size, mode="bilinear", align_corners=False)
    loss = weighted_cross_entropy(fine, truth, weights, hardest=config.hardest)
    sparse = truth[:, ::2, ::2] if config.stride == 2 else truth[:, ::4, ::4]
    if config.lovasz:
        size = (sparse.shape[-2], sparse.shape[-1])
        medium = F.interpolate(fine, size, mode="nearest")
        loss = loss + config.lovasz * lovasz_softmax(medium, sparse)
    for logit in logits[1:]:
        step = max(1, round(labels.shape[-1] / logit.shape[-1]))
        nearest = labels[:, step // 2 :: step, step // 2 :: step].long()
        size = (nearest.shape[-2], nearest.shape[-1])
        coarse = F.interpolate(logit.float(), size, mode="bilinear", align_corners=False)
        loss = loss + config.coarse * weighted_cross_entropy(coarse, nearest, weights)
    return loss
