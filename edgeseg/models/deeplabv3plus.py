"""`driving`: MobileNetV2 with DeepLabv3+ (Chen et al. 2018, arXiv 1802.02611).

Encoder: MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381, sec. 6.3) at output stride 16 or 8, its
last strides turned into dilation. Atrous spatial pyramid pooling with depthwise-separable atrous
convolutions (sec. 3.2, "atrous separable convolution") and image pooling; decoder with the stride-4
features reduced by a 1x1 convolution, concatenated and refined (sec. 3.1, fig. 2). One step is not
in the paper: a residual at stride 2 from the first block, for poles, signs and outlines.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.layers import SeparableConv, conv_bn_relu, resized_like
from edgeseg.models.mobilenetv2 import MobileNetV2Features, load_features

RATES = (6, 12, 18)
HIDDEN = {2: 64, 3: 96}
"""Narrower first blocks: they run at high resolution and dominate the time on a CPU."""


class ImagePooling(nn.Module):
    """The global mean of the features through a 1x1 convolution, spread over the map again.

    Without batch norm: the statistics of a 1x1 map depend on the batch alone.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W], constant over each picture."""
        mean: Tensor = self.project(x.mean(dim=(2, 3), keepdim=True))
        return F.interpolate(mean, (int(x.shape[2]), int(x.shape[3])), mode="nearest")


class SeparableAspp(nn.Module):
    """Atrous spatial pyramid pooling (sec. 3.1): 1x1, three rates, image pooling, projection."""

    def __init__(self, in_channels: int, out_channels: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        atrous = (SeparableConv(in_channels, out_channels, dilation=rate) for rate in rates)
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(in_channels, out_channels),
                *atrous,
                ImagePooling(in_channels, out_channels),
            ]
        )
        self.project = nn.Sequential(
            *conv_bn_relu(out_channels * len(self.branches), out_channels), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        y: Tensor = self.project(torch.cat([branch(x) for branch in self.branches], dim=1))
        return y


class DeepLabV3Plus(nn.Module):
    """Class logits at stride 2 for an RGB image in [-1, 1] of any height and width."""

    taps = (1, 3, 17)

    def __init__(
        self,
        classes: int,
        *,
        output_stride: int = 16,
        channels: int = 128,
        hidden: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(
            17, HIDDEN if hidden is None else hidden, output_stride=output_stride
        )
        rates = tuple(rate * 16 // output_stride for rate in RATES)
        self.aspp = SeparableAspp(320, channels, rates)
        self.low_level = conv_bn_relu(24, 32)
        self.refine = nn.Sequential(
            SeparableConv(channels + 32, channels), SeparableConv(channels, channels // 2)
        )
        self.head = nn.Conv2d(channels // 2, classes, 1)
        self.detail = nn.Sequential(
            conv_bn_relu(16, 32), conv_bn_relu(32, 32, 3, groups=32), nn.Conv2d(32, classes, 1)
        )
        self.coarse_head = nn.Conv2d(channels, classes, 1)

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from an ImageNet state."""
        load_features(self.backbone, state)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits [N, classes, h, w] of `image` [N, 3, H, W], finest first: strides 2, 4, 16.

        The coarser ones exist to be supervised in training; an export leaves them out.
        """
        f2, f4, deep = self.backbone(image, self.taps)
        context = self.aspp(deep)
        merged = torch.cat([resized_like(context, f4), self.low_level(f4)], dim=1)
        logit4 = self.head(self.refine(merged))
        logit2 = resized_like(logit4, f2) + self.detail(f2)
        return [logit2, logit4, self.coarse_head(context)]
