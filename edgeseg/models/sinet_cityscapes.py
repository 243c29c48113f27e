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
    ConvNormAct,
    NormAct,
    PlainConv,
    SqueezedDownsample,
    channel_shuffle,
)

_EPS = 1e-3
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
        if squeeze == 0:
            self.conv = nn.Sequential(
                _depthwise(channels, (3, 3)), nn.BatchNorm2d(channels, eps=_EPS)
            )
        else:
            self.vertical = _depthwise(channels, (kernel, 1))
            self.horizontal = _depthwise(channels, (1, kernel))
            self.B_v = nn.BatchNorm2d(channels, eps=_EPS)
            self.B_h = nn.BatchNorm2d(channels, eps=_EPS)
        self.act_conv1x1 = nn.Sequential(
            nn.PReLU(channels), nn.Conv2d(channels, channels, 1, bias=False)
        )
        self.bn = nn.BatchNorm2d(channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; H and W are multiples of `squeeze`."""
        if self.squeeze > 1:
            x = F.avg_pool2d(x, self.squeeze)
        if self.squeeze:
            x = self.B_v(self.vertical(x)) + self.B_h(self.horizontal(x))
        else:
            x = self.conv(x)
        x = self.act_conv1x1(x)
        if self.squeeze > 1:
            factor = float(self.squeeze)
            x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)
        y: Tensor = self.bn(x)
        return y


class SqueezeModule(nn.Module):
    """Grouped reduction, shuffle, two parallel blocks, concatenation, residual (fig. 4)."""

    def __init__(self, inputs: int, outputs: int, branches: tuple[Branch, Branch]) -> None:
        super().__init__()
        half = outputs // 2
        self.residual = inputs == outputs
        self.c1 = PlainConv(inputs, half, groups=2)
        self.d1 = SqueezeBlock(half, *branches[0])
        self.d2 = SqueezeBlock(half, *branches[1])
        self.BR = NormAct(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        reduced = channel_shuffle(self.c1(x), 2)
        y = torch.cat([self.d1(reduced), self.d2(reduced)], dim=1)
        z: Tensor = self.BR(x + y if self.residual else y)
        return z


def _level(inputs: int, outputs: int, rows: tuple[tuple[Branch, Branch], ...]) -> list[nn.Module]:
    return [
        SqueezeModule(inputs if index == 0 else outputs, outputs, row)
        for index, row in enumerate(rows)
    ]


class SceneEncoder(nn.Module):
    """Features at strides 4 and 8 and class scores at stride 16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.level1 = ConvNormAct(3, _STEM, 3, 2)
        self.level2_0 = SqueezedDownsample(_STEM, classes, divide=1)
        self.level3_0 = SqueezedDownsample(classes, _FIRST, divide=1)
        self.level3 = nn.Sequential(*_level(_FIRST, _MIDDLE, LEVEL3))
        self.BR3 = NormAct(_MIDDLE + _FIRST)
        self.level4_0 = SqueezedDownsample(_MIDDLE + _FIRST, _MIDDLE, divide=2)
        half = len(LEVEL4) // 2
        deep = _level(_MIDDLE, _DEEP, LEVEL4[:half]) + _level(_DEEP, _DEEPEST, LEVEL4[half:])
        self.level4 = nn.Sequential(*deep)
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
        self.bn_4 = nn.BatchNorm2d(classes, eps=_EPS)
        self.level3_C = ConvNormAct(_MIDDLE, classes, 1)
        self.bn_3 = nn.BatchNorm2d(classes, eps=_EPS)
        self.classifier = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, classes, H/2, W/2]; H and W in steps of `STEP`."""
        shallow, middle, coarse = self.encoder(image)
        stage1 = self.bn_4(_doubled(coarse))
        stage2 = self.bn_3(_doubled(_blocked(self.level3_C(middle), stage1)))
        scores: Tensor = self.classifier(_blocked(shallow, stage2))
        return scores
