"""Building blocks shared by the networks; all tensors are [N, C, H, W]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution with symmetric padding and batch norm, without an activation."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
    )


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """`conv_bn` followed by ReLU, which every runtime folds into the convolution."""
    layers = conv_bn(in_channels, out_channels, kernel, stride=stride, groups=groups)
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


class SeparableConv(nn.Sequential):
    """Depthwise 3x3, then pointwise with ReLU: one decoder step."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            conv_bn(in_channels, in_channels, 3, groups=in_channels),
            conv_bn_relu(in_channels, out_channels),
        )


class GatedContext(nn.Module):
    """LR-ASPP's context (Howard et al. 2019, arXiv 1905.02244, sec. 6.3), on one scale.

    A 1x1 projection times a sigmoid gate computed from the global mean of the features.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = conv_bn_relu(in_channels, out_channels)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, out_channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        y: Tensor = self.project(x) * self.gate(x)
        return y


def upsample2(x: Tensor) -> Tensor:
    """`x` at twice the height and width, bilinear with half-pixel centres."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
