"""SINet for driving scenes as published by clovaai/c3_sinet (MIT), for its official weights.

Park et al. 2020, arXiv 1911.09099, sec. 4 ("general segmentation"): the ideas of the portrait
network (`sinet.py`) with one more level, spatial-squeeze blocks made of a vertical and a
horizontal convolution, and information blocking at two resolutions. Names and settings are those
of `models/SINet.py` there with p = 3, q = 10, chnn = 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.sinet import (
    EPS,
    ConvNormAct,
    NormAct,
    PlainConv,
    S2Block,
    SqueezedDownsample,
    enlarged,
    s2_level,
)

_STEM, _FIRST, _MIDDLE, _DEEP, _DEEPEST = 16, 24, 60, 84, 108

Branch = tuple[int, int]
"""Kernel and squeeze factor of a block; factor 0 = a plain depthwise 3x3 instead."""
LEVEL3: tuple[tuple[Branch, Branch], ...] = (
    ((3, 1), (5, 1)),
    ((3, 0), (3, 1)),
    ((3, 0), (3, 1)),
)
LEVEL4: tuple[tuple[Branch, Branch], ...] = (
    ((3, 1), (5, 1)),
    ((3, 0), (3, 1)),
    ((5, 1), (5, 4)),
    ((3, 2), (5, 8)),
    ((3, 1), (5, 1)),
    ((3, 1), (5, 1)),
    ((3, 0), (3, 1)),
    ((5, 1), (5, 8)),
    ((3, 2), (5, 4)),
    ((3, 0), (5, 2)),
)
STEP = 128
"""Width and height are multiples: stride 16, and the largest squeeze factor is 8."""


def _depthwise(channels: int, kernel: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(channels, channels, kernel, 1, padding, groups=channels, bias=False)


class SqueezeBlock(nn.Module):
    """Vertical plus horizontal depthwise convolution at 1 / `squeeze` of the resolution."""

    def __init__(self, channels: int, kernel: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.vertical = _depthwise(channels, (kernel, 1))
        self.horizontal = _depthwise(channels, (1, kernel))
        self.B_v = nn.BatchNorm2d(channels, eps=EPS)
        self.B_h = nn.BatchNorm2d(channels, eps=EPS)
        self.act_conv1x1 = nn.Sequential(
            nn.PReLU(channels), nn.Conv2d(channels, channels, 1, bias=False)
        )
        self.bn = nn.BatchNorm2d(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; H and W are multiples of `squeeze`."""
        if self.squeeze > 1:
            x = F.avg_pool2d(x, self.squeeze)
        x = self.act_conv1x1(self.B_v(self.vertical(x)) + self.B_h(self.horizontal(x)))
        if self.squeeze > 1:
            x = enlarged(x, self.squeeze)
        y: Tensor = self.bn(x)
        return y


def scene_block(channels: int, kernel: int, squeeze: int) -> nn.Module:
    """The block of a `Branch`."""
    return SqueezeBlock(channels, kernel, squeeze) if squeeze else S2Block(channels, 3, 1)


class SceneEncoder(nn.Module):
    """Features at strides 4 and 8 and class scores at stride 16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.level1 = ConvNormAct(3, _STEM, 3, 2)
        self.level2_0 = SqueezedDownsample(_STEM, classes, divide=1)
        self.level3_0 = SqueezedDownsample(classes, _FIRST, divide=1)
        self.level3 = nn.Sequential(*s2_level(_FIRST, _MIDDLE, LEVEL3, scene_block))
        self.BR3 = NormAct(_MIDDLE + _FIRST)
        self.level4_0 = SqueezedDownsample(_MIDDLE + _FIRST, _MIDDLE, divide=2)
        half = len(LEVEL4) // 2
        self.level4 = nn.Sequential(
            *s2_level(_MIDDLE, _DEEP, LEVEL4[:half], scene_block),
            *s2_level(_DEEP, _DEEPEST, LEVEL4[half:], scene_block),
        )
        self.BR4 = NormAct(_DEEPEST + _MIDDLE)
        self.classifier = PlainConv(_DEEPEST + _MIDDLE, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[N, classes, H/4, W/4], [N, 60, H/8, W/8], scores [N, classes, H/16, W/16]."""
        shallow = self.level2_0(self.level1(image))
        start3 = self.level3_0(shallow)
        middle = self.level3(start3)
        start4 = self.level4_0(self.BR3(torch.cat([start3, middle], dim=1)))
        deep = self.BR4(torch.cat([start4, self.level4(start4)], dim=1))
        return shallow, middle, self.classifier(deep)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _blocked(fine: Tensor, coarse: Tensor) -> Tensor:
    """`fine` where `coarse` is unsure of its class, plus `coarse` (sec. 3.2)."""
    sure = coarse.softmax(dim=1).amax(dim=1, keepdim=True)
    return fine * (1.0 - sure) + coarse


class SceneSINet(nn.Module):
    """Class scores at stride 2 for an RGB image normalised by ImageNet's statistics.

    The official code enlarges them by 2, bilinear with aligned corners.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = SceneEncoder(classes)
        self.bn_4 = nn.BatchNorm2d(classes, eps=EPS)
        self.level3_C = ConvNormAct(_MIDDLE, classes, 1)
        self.bn_3 = nn.BatchNorm2d(classes, eps=EPS)
        self.classifier = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, classes, H/2, W/2]; H and W in steps of `STEP`."""
        shallow, middle, coarse = self.encoder(image)
        stage1 = self.bn_4(_doubled(coarse))
        stage2 = self.bn_3(_doubled(_blocked(self.level3_C(middle), stage1)))
        scores: Tensor = self.classifier(_blocked(shallow, stage2))
        return scores
