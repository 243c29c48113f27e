"""`instances`: YOLACT (Bolya et al. 2019, arXiv 1904.02689) on MobileNetV2, light enough for a CPU.

As in the paper: a feature pyramid P3..P7 (sec. 3, fig. 2); one prediction head for all levels that
gives class scores, box offsets and mask coefficients (sec. 3.1, fig. 4); a protonet on P3 whose
prototypes are enlarged twice and rectified (sec. 3.1, fig. 3); a semantic head that exists for
training only (sec. 3.4). Different: separable convolutions, 96 channels and 24 prototypes instead
of 256 and 32; and class scores are sigmoids, so that a picture in which only people were labelled
says nothing about cars (the authors' code offers the same with its focal loss).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgeseg.models.layers import SeparableConv, conv_bn, resized_like
from edgeseg.models.mobilenetv2 import MobileNetV2Features, load_features
from edgeseg.types import Size

STRIDES = (8, 16, 32, 64, 128)
SCALES = (24 / 550, 48 / 550, 96 / 550, 192 / 550, 384 / 550)
"""Anchor side of each level as a share of the input's side (sec. 3.3; 550 is the paper's input)."""
RATIOS = (1.0, 0.5, 2.0)
VARIANCES = (0.1, 0.2)
"""Units of box offsets and log sizes, from SSD (Liu et al. 2016); yolact `box_utils.py`."""
HIDDEN = {2: 64, 3: 96}
PRIOR_SCORE = 0.01  # what the head says before training (Lin et al. 2017, arXiv 1708.02002, 3.3)


class Raw(NamedTuple):
    """What the network computes; A anchors, C classes, K prototypes.

    offsets [N, A, 4] against the anchors; logits [N, A, C]; coefficients [N, A, K] in -1..1;
    prototypes [N, K, h, w], not negative; semantic [N, C, H/8, W/8] logits.
    """

    offsets: Tensor
    logits: Tensor
    coefficients: Tensor
    prototypes: Tensor
    semantic: Tensor


def level_sizes(size: Size) -> list[Size]:
    """Width and height of P3..P7 for an input of `size`: each stride rounds up."""
    return [Size(-(-size.width // s), -(-size.height // s)) for s in STRIDES]


@lru_cache(maxsize=8)
def anchors(size: Size) -> Tensor:
    """Boxes (center x, center y, width, height) in pixels of an input of `size`, float32 [A, 4].

    Order: level, row, column, aspect ratio; as the head's outputs.
    """
    side = math.sqrt(size.width * size.height)
    levels = []
    for grid, scale in zip(level_sizes(size), SCALES, strict=True):
        y, x = torch.meshgrid(torch.arange(grid.height), torch.arange(grid.width), indexing="ij")
        cx = (x + 0.5) * (size.width / grid.width)
        cy = (y + 0.5) * (size.height / grid.height)
        boxes = [
            torch.stack(
                [
                    cx,
                    cy,
                    torch.full_like(cx, scale * side * math.sqrt(ratio)),
                    torch.full_like(cy, scale * side / math.sqrt(ratio)),
                ],
                dim=-1,
            )
            for ratio in RATIOS
        ]
        levels.append(torch.stack(boxes, dim=2).reshape(-1, 4))
    return torch.cat(levels).float()


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Boxes x0, y0, x1, y1 in the anchors' pixels, [..., A, 4] (yolact `box_utils.py` decode)."""
    center = priors[:, :2] + offsets[..., :2] * VARIANCES[0] * priors[:, 2:]
    half = priors[:, 2:] * torch.exp(offsets[..., 2:] * VARIANCES[1]) / 2
    return torch.cat([center - half, center + half], dim=-1)


def encode_boxes(boxes_xyxy: Tensor, priors: Tensor) -> Tensor:
    """The offsets that `decode_boxes` turns into `boxes_xyxy` [A, 4]."""
    center = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    size = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return torch.cat(
        [
            (center - priors[:, :2]) / (VARIANCES[0] * priors[:, 2:]),
            torch.log(size / priors[:, 2:]) / VARIANCES[1],
        ],
        dim=1,
    )


class FeaturePyramid(nn.Module):
    """P3..P7 from strides 8, 16, 32 (Lin et al. 2017, arXiv 1612.03144; P6, P7 by stride)."""

    def __init__(self, inputs: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_bn(c, channels) for c in inputs)
        self.smooth = nn.ModuleList(SeparableConv(channels, channels) for _ in inputs)
        self.down = nn.ModuleList(SeparableConv(channels, channels, stride=2) for _ in range(2))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Map features at strides 8, 16, 32 to five levels of `channels`."""
        lateral = [conv(x) for conv, x in zip(self.lateral, features, strict=True)]
        merged = [lateral[-1]]
        for x in reversed(lateral[:-1]):
            merged.insert(0, x + resized_like(merged[0], x))
        levels = [conv(x) for conv, x in zip(self.smooth, merged, strict=True)]
        for conv in self.down:
            levels.append(conv(levels[-1]))
        return levels


class PredictionHead(nn.Module):
    """Offsets, class logits and mask coefficients of every anchor of a level (fig. 4)."""

    def __init__(self, channels: int, classes: int, prototypes: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            SeparableConv(channels, channels), SeparableConv(channels, channels)
        )
        self.widths = (4, classes, prototypes)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, len(RATIOS) * w, 1) for w in self.widths)
        bias = -math.log((1 - PRIOR_SCORE) / PRIOR_SCORE)
        nn.init.constant_(self.outputs[1].bias, bias)

    def forward(self, level: Tensor) -> list[Tensor]:
        """Map [N, channels, H, W] to [N, H * W * 3, w] for each of the three outputs."""
        x = self.tower(level)
        return [
            conv(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)
            for conv, width in zip(self.outputs, self.widths, strict=True)
        ]


class Protonet(nn.Module):
    """Prototypes at stride 4 from P3 (fig. 3)."""

    def __init__(self, channels: int, prototypes: int) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            SeparableConv(channels, channels), SeparableConv(channels, channels)
        )
        self.low_level = conv_bn(24, channels)
        self.relu = nn.ReLU(inplace=True)
        self.fine = nn.Sequential(
            SeparableConv(channels, channels // 2),
            nn.Conv2d(channels // 2, prototypes, 1),
            nn.ReLU(),
        )

    def forward(self, p3: Tensor, stride4: Tensor) -> Tensor:
        """Map P3 and the backbone's stride-4 features [N, 24, H, W] to [N, prototypes, H, W].

        The skip is ours: it sharpens outlines for the price of one 1x1 convolution.
        """
        x = self.relu(resized_like(self.coarse(p3), stride4) + self.low_level(stride4))
        y: Tensor = self.fine(x)
        return y


class Yolact(nn.Module):
    """Anchor predictions and prototypes for an RGB image in [-1, 1] of any height and width."""

    taps = (3, 6, 13, 17)

    def __init__(self, classes: int, *, channels: int = 96, prototypes: int = 24) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(17, HIDDEN)
        self.pyramid = FeaturePyramid((32, 96, 320), channels)
        self.head = PredictionHead(channels, classes, prototypes)
        self.protonet = Protonet(channels, prototypes)
        self.semantic = nn.Conv2d(channels, classes, 1)

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from an ImageNet state."""
        load_features(self.backbone, state)

    def forward(self, image: Tensor) -> Raw:
        """What `Raw` describes, for `image` [N, 3, H, W]."""
        stride4, *features = self.backbone(image, self.taps)
        levels = self.pyramid(features)
        offsets, logits, coefficients = (
            torch.cat(parts, dim=1)
            for parts in zip(*(self.head(level) for level in levels), strict=True)
        )
        return Raw(
            offsets,
            logits,
            torch.tanh(coefficients),
            self.protonet(levels[0], stride4),
            self.semantic(levels[0]),
        )


class YolactOutputs(nn.Module):
    """A network's finished outputs for one input size: what an exported file gives.

    boxes [1, A, 4] as x0, y0, x1, y1 in 0..1 of the input; scores [1, A, C] in 0..1; coefficients
    [1, A, K]; prototypes [1, h, w, K].
    """

    priors: Tensor
    extent: Tensor

    def __init__(self, network: nn.Module, size: Size) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("priors", anchors(size))
        self.register_buffer("extent", torch.tensor([*size, *size], dtype=torch.float32))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map an RGB image [1, 3, H, W] in [-1, 1] to the four outputs."""
        raw: Raw = self.network(image)
        boxes = decode_boxes(raw.offsets, self.priors) / self.extent
        return (
            boxes,
            torch.sigmoid(raw.logits),
            raw.coefficients,
            raw.prototypes.permute(0, 2, 3, 1),
        )
