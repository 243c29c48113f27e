"""MobileNetV2-DeepLabv3+ as in VainF/DeepLabV3Plus-Pytorch (MIT), for its published weights.

DeepLabv3+ (Chen et al. 2018, arXiv 1802.02611, sec. 3.1, fig. 2) on MobileNetV2 (Sandler et al.
2018, arXiv 1801.04381). Two traits of that code are not in the papers and matter to every number:
each inverted residual pads its *input* with zeros, which the expansion and its batch norm then turn
into something else, and the first convolution has no padding at all. Names are those of
`network/_deeplab.py` and `network/backbone/mobilenetv2.py`. For the network edgeseg trains see
`deeplabv3plus.py`.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.layers import resized_like
from edgeseg.models.mobilenetv2 import BLOCKS

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
"""Dilation of the atrous convolutions by output stride."""
CONTEXT, LOW_LEVEL, REDUCED = 256, 24, 48
_SHALLOW_BLOCKS = 4


def _conv_norm_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, 0, dilation=dilation, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class PaddedResidual(nn.Module):
    """An inverted residual (Sandler et al., sec. 3.3) that pads before its expansion."""

    def __init__(
        self, inputs: int, outputs: int, *, hidden: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        self.pad = dilation
        self.identity = stride == 1 and inputs == outputs
        expand = [] if hidden == inputs else [_conv_norm_relu6(inputs, hidden, 1)]
        self.conv = nn.Sequential(
            *expand,
            _conv_norm_relu6(hidden, hidden, 3, stride, dilation=dilation, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H / stride, W / stride]."""
        y: Tensor = self.conv(F.pad(x, [self.pad] * 4))
        return x + y if self.identity else y


def _backbone_blocks(output_stride: int) -> list[nn.Module]:
    """Blocks 0 to 17; past `output_stride` strides become dilation from the next block on."""
    blocks: list[nn.Module] = [_conv_norm_relu6(3, BLOCKS[0][0], 3, 2)]
    reached, rate = 2, 1
    for (inputs, _, _), (outputs, stride, hidden) in itertools.pairwise(BLOCKS):
        dilation = rate
        if stride > 1 and reached == output_stride:
            rate, stride = rate * stride, 1
        reached *= stride
        blocks.append(
            PaddedResidual(inputs, outputs, hidden=hidden, stride=stride, dilation=dilation)
        )
    return blocks


class _Backbone(nn.Module):
    """Stride-4 and deep features; the deep blocks keep their numbers from 4 on."""

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        blocks = _backbone_blocks(output_stride)
        self.low_level_features = nn.Sequential(*blocks[:_SHALLOW_BLOCKS])
        self.high_level_features = nn.Sequential()
        for index, block in enumerate(blocks[_SHALLOW_BLOCKS:], _SHALLOW_BLOCKS):
            self.high_level_features.add_module(str(index), block)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 24, H/4, W/4] and [N, 320, h, w] of an image [N, 3, H, W]."""
        shallow = self.low_level_features(image)
        return shallow, self.high_level_features(shallow)


class _Separable(nn.Module):
    """Depthwise then pointwise, as `--separable_conv` makes of every larger convolution."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, 1, dilation, dilation=dilation, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        y: Tensor = self.body(x)
        return y


def _conv3(inputs: int, outputs: int, dilation: int, *, separable: bool) -> nn.Module:
    if separable:
        return _Separable(inputs, outputs, dilation)
    return nn.Conv2d(inputs, outputs, 3, 1, dilation, dilation=dilation, bias=False)


def _norm_relu(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class _ImagePooling(nn.Sequential):
    """Global mean (index 0, which has no weights), 1x1 convolution, norm, spread out again."""

    def __init__(self, inputs: int) -> None:
        convolution = nn.Conv2d(inputs, CONTEXT, 1, bias=False)
        super().__init__(nn.Identity(), *_norm_relu(convolution, CONTEXT))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, 256, H, W], constant over each picture."""
        y: Tensor = super().forward(x.mean(dim=(2, 3), keepdim=True))
        return y.expand(-1, -1, x.shape[2], x.shape[3])


class _Aspp(nn.Module):
    """1x1, three rates, image pooling, projection (sec. 3.1)."""

    def __init__(self, inputs: int, rates: tuple[int, ...], *, separable: bool) -> None:
        super().__init__()
        atrous = (
            _norm_relu(_conv3(inputs, CONTEXT, rate, separable=separable), CONTEXT)
            for rate in rates
        )
        self.convs = nn.ModuleList(
            [
                _norm_relu(nn.Conv2d(inputs, CONTEXT, 1, bias=False), CONTEXT),
                *atrous,
                _ImagePooling(inputs),
            ]
        )
        self.project = _norm_relu(nn.Conv2d(5 * CONTEXT, CONTEXT, 1, bias=False), CONTEXT)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, 256, H, W]."""
        y: Tensor = self.project(torch.cat([branch(x) for branch in self.convs], dim=1))
        return y


class _Head(nn.Module):
    """Context, low-level features reduced to 48 channels, and the decoder (fig. 2)."""

    def __init__(self, classes: int, rates: tuple[int, ...], *, separable: bool) -> None:
        super().__init__()
        self.project = _norm_relu(nn.Conv2d(LOW_LEVEL, REDUCED, 1, bias=False), REDUCED)
        self.aspp = _Aspp(BLOCKS[-1][0], rates, separable=separable)
        refine = _conv3(CONTEXT + REDUCED, CONTEXT, 1, separable=separable)
        self.classifier = nn.Sequential(
            *_norm_relu(refine, CONTEXT), nn.Conv2d(CONTEXT, classes, 1)
        )

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Scores [N, classes, H/4, W/4]."""
        reduced = self.project(shallow)
        context = resized_like(self.aspp(deep), reduced)
        y: Tensor = self.classifier(torch.cat([reduced, context], dim=1))
        return y


class OfficialDeepLab(nn.Module):
    """Class scores at stride 4 for an RGB image normalised by ImageNet's statistics.

    The official code enlarges them to the size of the image, bilinear with half-pixel centres.
    """

    def __init__(self, classes: int, *, output_stride: int = 16, separable: bool = False) -> None:
        super().__init__()
        self.backbone = _Backbone(output_stride)
        self.classifier = _Head(classes, RATES[output_stride], separable=separable)

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, classes, H/4, W/4]."""
        y: Tensor = self.classifier(*self.backbone(image))
        return y
