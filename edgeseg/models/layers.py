"""Building blocks shared by the networks; all tensors are [N, C, H, W]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AtrousDepthwise(nn.Conv2d):
    """Depthwise 3x3 with dilation; in training computed on the `dilation` ** 2 subsampled maps.

    Both ways give the same numbers. A dilated depthwise gradient is 15 times slower on a CPU than
    a plain one (PyTorch 2.13), and a plain one is all that the subsampled maps need. With larger
    rates the maps become too small for this to pay.
    """

    FASTER_AT = 2

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__(
            channels, channels, 3, 1, dilation, dilation=dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x` [N, C, H, W]."""
        if not self.training:
            return super().forward(x)
        rate = self.dilation[0]
        n, c, h, w = x.shape
        x = F.pad(x, (0, -w % rate, 0, -h % rate))
        rows, columns = x.shape[2] // rate, x.shape[3] // rate
        x = x.view(n, c, rows, rate, columns, rate).permute(3, 5, 0, 1, 2, 4)
        x = x.reshape(rate * rate * n, c, rows, columns)
        x = x.contiguous(memory_format=torch.channels_last)
        y = F.conv2d(x, self.weight, None, 1, 1, groups=c)
        y = y.view(rate, rate, n, c, rows, columns).permute(2, 3, 4, 0, 5, 1)
        y = y.reshape(n, c, rows * rate, columns * rate)[:, :, :h, :w]
        return y.contiguous(memory_format=torch.channels_last)


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    """Convolution with symmetric padding and batch norm, without an activation."""
    plain = kernel == 3 and stride == 1 and groups == in_channels == out_channels
    if plain and dilation == AtrousDepthwise.FASTER_AT:
        return nn.Sequential(AtrousDepthwise(in_channels, dilation), nn.BatchNorm2d(out_channels))
    convolution = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        kernel // 2 * dilation,
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels))


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """`conv_bn` followed by ReLU, which every runtime folds into the convolution."""
    layers = conv_bn(in_channels, out_channels, kernel, stride=stride, groups=groups)
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


class SeparableConv(nn.Sequential):
    """Depthwise 3x3, atrous if `dilation` > 1, then pointwise with ReLU: one decoder step."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(
            conv_bn(
                in_channels, in_channels, 3, stride=stride, groups=in_channels, dilation=dilation
            ),
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


def resized_like(x: Tensor, reference: Tensor) -> Tensor:
    """`x` at the height and width of `reference`, bilinear with half-pixel centres."""
    # As plain numbers, which an export writes as constants instead of a subgraph about shapes.
    size = (int(reference.shape[-2]), int(reference.shape[-1]))
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
