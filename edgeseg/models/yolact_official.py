"""YOLACT as published (Bolya et al. 2019, arXiv 1904.02689), for its official weights.

Feature pyramid of 256 channels (sec. 3.4, fig. 2), protonet (sec. 3.1, fig. 3), one prediction
head shared by all levels (sec. 3.2, fig. 4) with three aspect ratios per place; Fast NMS and the
assembly of masks happen at run time. Names, anchors and constants are those of dbolya/yolact
(`yolact.py`, `data/config.py`, `layers/box_utils.py`, MIT). For the light network edgeseg trains
see `yolact.py`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models import darknet, resnet

Backbone = Literal["resnet50", "resnet101", "darknet53"]
CHANNELS, PROTOTYPES = 256, 32
ASPECT_RATIOS = (1.0, 0.5, 2.0)
REFERENCE_SIZE = 550
COCO_SCALES = (24, 48, 96, 192, 384)
PASCAL_SCALES = (32, 64, 128, 256, 512)
"""Anchor sides in pixels per level, at `REFERENCE_SIZE`; COCO's are always square."""
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


class FeaturePyramid(nn.Module):
    """P3 to P7 from the last three stages (Lin et al. 2017); P6 and P7 by strided convolution.

    Like the official lists, `lat_layers` and `pred_layers` go from coarse to fine.
    """

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.lat_layers = nn.ModuleList(nn.Conv2d(c, CHANNELS, 1) for c in reversed(inputs))
        self.pred_layers = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1) for _ in inputs)
        self.downsample_layers = nn.ModuleList(
            nn.Conv2d(CHANNELS, CHANNELS, 3, 2, 1) for _ in range(2)
        )

    def forward(self, stages: list[Tensor]) -> list[Tensor]:
        """Five maps [N, 256, h, w], fine to coarse, of `stages`, fine to coarse."""
        merged: list[Tensor] = []
        for lateral, features in zip(self.lat_layers, reversed(stages), strict=True):
            x = lateral(features)
            if merged:
                size = features.shape[-2:]
                x = x + F.interpolate(merged[-1], size, mode="bilinear", align_corners=False)
            merged.append(x)
        levels = [F.relu(layer(x)) for layer, x in zip(self.pred_layers, merged, strict=True)]
        levels.reverse()
        for layer in self.downsample_layers:
            levels.append(layer(levels[-1]))
        return levels


class PredictionHead(nn.Module):
    """Box offsets, class scores and mask coefficients of every anchor of a level."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        anchors = len(ASPECT_RATIOS)
        self.upfeature = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.ReLU(inplace=True)
        )
        self.bbox_layer = nn.Conv2d(CHANNELS, anchors * 4, 3, 1, 1)
        self.conf_layer = nn.Conv2d(CHANNELS, anchors * (classes + 1), 3, 1, 1)
        self.mask_layer = nn.Conv2d(CHANNELS, anchors * PROTOTYPES, 3, 1, 1)
        self.classes = classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Offsets [N, A, 4], class logits [N, A, 1 + classes], coefficients [N, A, 32]."""
        x = self.upfeature(x)
        return (
            _per_anchor(self.bbox_layer(x), 4),
            _per_anchor(self.conf_layer(x), self.classes + 1),
            torch.tanh(_per_anchor(self.mask_layer(x), PROTOTYPES)),
        )


def _per_anchor(x: Tensor, values: int) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


def anchors(*, height: int, width: int, side: float, square: bool) -> Tensor:
    """Anchors [height * width * 3, 4] of one level as centre x, y, width, height in 0..1.

    side: relative to the picture. square: all ratios widen both sides, a bug of the official code
    that its COCO weights were trained with.
    """
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    roots = [math.sqrt(ratio) for ratio in ASPECT_RATIOS]
    widths = torch.tensor([side * root for root in roots])
    heights = widths if square else torch.tensor([side / root for root in roots])
    centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(roots), 2)
    sizes = torch.stack([widths, heights], dim=-1).expand(height * width, -1, 2)
    return torch.cat([centres, sizes], dim=-1).reshape(-1, 4)


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Boxes [N, A, 4] as x1, y1, x2, y2 in 0..1 of the picture (may reach beyond it)."""
    centre = priors[:, :2] + offsets[..., :2] * CENTRE_VARIANCE * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(offsets[..., 2:] * SIZE_VARIANCE)
    corner = centre - size / 2
    return torch.cat([corner, corner + size], dim=-1)


def _protonet() -> nn.Sequential:
    """Index 6 keeps the place of the official up-sampling layer."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.ReLU(inplace=True)]
    layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.ReLU()]
    layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(CHANNELS, PROTOTYPES, 1))


class OfficialYolact(nn.Module):
    """Everything before NMS, for a normalised RGB picture of `size` x `size`."""

    def __init__(
        self,
        classes: int,
        backbone: Backbone,
        *,
        size: int = REFERENCE_SIZE,
        scales: tuple[int, ...] = COCO_SCALES,
        square_anchors: bool = True,
    ) -> None:
        super().__init__()
        self.backbone: nn.Module
        if backbone == "darknet53":
            self.backbone, channels = darknet.DarkNetFeatures(), darknet.STAGE_CHANNELS
        else:
            depth = int(backbone.removeprefix("resnet"))
            self.backbone, channels = resnet.ResNetFeatures(depth), resnet.STAGE_CHANNELS
        self.proto_net = _protonet()
        self.fpn = FeaturePyramid(channels[-3:])
        self.prediction_layers = nn.ModuleList([PredictionHead(classes)])
        # The official configurations for other sizes round the sides to whole pixels.
        self.sides = [int(scale / REFERENCE_SIZE * size) / size for scale in scales]
        self.square_anchors = square_anchors

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes [N, A, 4], scores [N, A, classes], coefficients [N, A, 32], prototypes.

        Boxes are x1, y1, x2, y2 in 0..1; scores a softmax whose background column is left out;
        coefficients in -1..1; prototypes [N, h, w, 32] at stride 4, not negative.
        """
        levels = self.fpn(self.backbone(image)[-3:])
        prototypes = F.relu(self.proto_net(levels[0])).permute(0, 2, 3, 1)
        outputs = [self.prediction_layers[0](level) for level in levels]
        offsets, logits, coefficients = (
            torch.cat(part, dim=1) for part in zip(*outputs, strict=True)
        )
        priors = torch.cat(
            [
                anchors(
                    height=int(level.shape[2]),
                    width=int(level.shape[3]),
                    side=side,
                    square=self.square_anchors,
                )
                for level, side in zip(levels, self.sides, strict=True)
            ]
        )
        scores = logits.softmax(dim=-1)[..., 1:]
        return decode_boxes(offsets, priors.to(offsets)), scores, coefficients, prototypes
