"""SINet as published (Park et al. 2020, arXiv 1911.09099), for its official weights.

The structure follows the paper: depthwise-separable down-sampling with squeeze-and-excitation
(sec. 3.1), S2 modules of two parallel S2 blocks (sec. 3.3, table 1), and a decoder that blocks
detail where the coarse prediction is sure (sec. 3.2). Attribute names are those of the official
code (clovaai/ext_portrait_segmentation, `models/SINet.py`, MIT), so that its `SINet.pth` loads.
For a faster network with the same ideas see `edge_sinet.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-3  # of every batch norm in the official code
_CLASSES = 2

# One S2 module per row: (kernel, squeeze factor) of its two blocks; two rows for level 2.
LEVEL2: tuple[tuple[tuple[int, int], ...], ...] = (((3, 1), (5, 1)), ((3, 1), (3, 1)))
LEVEL3: tuple[tuple[tuple[int, int], ...], ...] = (
    ((3, 1), (5, 1)),
    ((3, 1), (3, 1)),
    ((5, 1), (3, 2)),
    ((5, 2), (3, 4)),
    ((3, 1), (3, 1)),
    ((5, 1), (5, 1)),
    ((3, 2), (3, 4)),
    ((3, 1), (5, 2)),
)
_STEM, _SHALLOW, _MIDDLE, _DEEP = 12, 16, 48, 96


def enlarged(x: Tensor, factor: int) -> Tensor:
    """`x` at `factor` times the height and width, bilinear with aligned corners."""
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=True)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of `groups` groups (ShuffleNet, arXiv 1707.01083, sec. 3.1)."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class NormAct(nn.Module):
    """Batch norm and PReLU ("BR")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=EPS)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y: Tensor = self.act(self.bn(x))
        return y


class ConvNormAct(NormAct):
    """Convolution, batch norm, PReLU ("CBR")."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(outputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H / stride, W / stride]."""
        return super().forward(self.conv(x))


class PlainConv(nn.Module):
    """A 1x1 convolution without bias under the name `conv` ("C")."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        y: Tensor = self.conv(x)
        return y


class SqueezeExcite(nn.Module):
    """Channel weights from the global mean, through two PReLU layers ("SqueezeBlock")."""

    def __init__(self, channels: int, divide: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(channels, channels // divide)]
        layers.append(nn.PReLU(channels // divide))
        if divide > 1:
            layers += [nn.Linear(channels // divide, channels), nn.PReLU(channels)]
        self.dense = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        weights: Tensor = self.dense(x.mean(dim=(2, 3)))
        return x * weights[:, :, None, None]


class SqueezedDownsample(NormAct):
    """Depthwise 3x3 of stride 2, squeeze-excite, pointwise, norm, PReLU ("SEseparableCBR")."""

    def __init__(self, inputs: int, outputs: int, divide: int) -> None:
        super().__init__(outputs)
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs, bias=False),
            SqueezeExcite(inputs, divide),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H / 2, W / 2]."""
        return super().forward(self.conv(x))


class S2Block(nn.Module):
    """Separable convolution at 1 / `squeeze` of the resolution (fig. 4, right)."""

    def __init__(self, channels: int, kernel: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False),
            nn.BatchNorm2d(channels, eps=EPS),
        )
        self.act_conv1x1 = nn.Sequential(
            nn.PReLU(channels), nn.Conv2d(channels, channels, 1, bias=False)
        )
        self.bn = nn.BatchNorm2d(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; H and W are multiples of `squeeze`."""
        if self.squeeze > 1:
            x = F.avg_pool2d(x, self.squeeze)
        x = self.act_conv1x1(self.conv(x))
        if self.squeeze > 1:
            x = enlarged(x, self.squeeze)
        y: Tensor = self.bn(x)
        return y


NewBlock = Callable[[int, int, int], nn.Module]
"""A block's class, or whatever makes one of (channels, kernel, squeeze factor)."""


class S2Module(nn.Module):
    """Grouped reduction, shuffle, two parallel S2 blocks, concatenation, residual (fig. 4)."""

    def __init__(
        self, inputs: int, outputs: int, blocks: tuple[tuple[int, int], ...], block: NewBlock
    ) -> None:
        super().__init__()
        branch = outputs // len(blocks)
        self.groups = len(blocks)
        self.residual = inputs == outputs
        self.c1 = PlainConv(inputs, branch, groups=self.groups)
        self.d1 = block(branch, *blocks[0])
        self.d2 = block(branch, *blocks[1])
        self.BR = NormAct(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H, W]."""
        reduced = channel_shuffle(self.c1(x), self.groups)
        y = torch.cat([self.d1(reduced), self.d2(reduced)], dim=1)
        z: Tensor = self.BR(x + y if self.residual else y)
        return z


def s2_level(
    inputs: int,
    outputs: int,
    level: tuple[tuple[tuple[int, int], ...], ...],
    block: NewBlock = S2Block,
) -> list[nn.Module]:
    """One S2 module per row of `level`, the first of which changes the number of channels."""
    return [
        S2Module(inputs if i == 0 else outputs, outputs, row, block) for i, row in enumerate(level)
    ]


class Encoder(nn.Module):
    """Stride 8 features and their class scores (table 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.level1 = ConvNormAct(3, _STEM, 3, 2)
        self.level2_0 = SqueezedDownsample(_STEM, _SHALLOW, divide=1)
        self.level2 = nn.Sequential(*s2_level(_SHALLOW, _MIDDLE, LEVEL2))
        self.BR2 = NormAct(_MIDDLE + _SHALLOW)
        self.level3_0 = SqueezedDownsample(_MIDDLE + _SHALLOW, _MIDDLE, divide=2)
        self.level3 = nn.Sequential(*s2_level(_MIDDLE, _DEEP, LEVEL3))
        self.BR3 = NormAct(_DEEP + _MIDDLE)
        self.classifier = PlainConv(_DEEP + _MIDDLE, _CLASSES)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Level-2 features [N, 48, H/4, W/4] and class scores [N, 2, H/8, W/8]."""
        shallow = self.level2_0(self.level1(image))
        middle = self.level2(shallow)
        start = self.level3_0(self.BR2(torch.cat([shallow, middle], dim=1)))
        deep = self.BR3(torch.cat([start, self.level3(start)], dim=1))
        return middle, self.classifier(deep)


class SINet(nn.Module):
    """Class scores at full resolution for a normalised BGR image; H and W in steps of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.bn_3 = nn.BatchNorm2d(_CLASSES, eps=EPS)
        self.level2_C = ConvNormAct(_MIDDLE, _CLASSES, 1)
        self.bn_2 = nn.BatchNorm2d(_CLASSES, eps=EPS)
        # Index 1 keeps the official name `classifier.1`; index 0 was its up-sampling.
        self.classifier = nn.Sequential(
            nn.UpsamplingBilinear2d(scale_factor=2),
            nn.Conv2d(_CLASSES, _CLASSES, 3, 1, 1, bias=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to scores [N, 2, H, W]; channel 1 is the person."""
        middle, coarse = self.encoder(image)
        stage1 = self.bn_3(enlarged(coarse, 2))
        confidence = stage1.softmax(dim=1).amax(dim=1, keepdim=True)
        stage2 = self.level2_C(middle) * (1.0 - confidence) + stage1
        scores: Tensor = self.classifier(self.bn_2(enlarged(stage2, 2)))
        return scores


class PersonLogit(SINet):
    """One output, the logit of the person: softmax(s)[1] = sigmoid(s1 - s0)."""

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, 1, H, W]."""
        scores = super().forward(image)
        return scores[:, 1:] - scores[:, :1]
