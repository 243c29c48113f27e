"""ResNet-50 and -101 features (He et al. 2016, arXiv 1512.03385, table 1), for published weights.

Names within a block are torchvision's, which both dbolya/yolact and liminn/ICNet-pytorch (MIT)
keep; the four stages are `layers.0` to `layers.3` as in the former. Two things differ between the
published backbones: the stem (one 7x7 convolution, or the three 3x3 of "ResNet-v1s"), and whether
the last two strides are turned into dilation.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks per stage by depth."""
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
STAGE_CHANNELS: tuple[int, ...] = tuple(width * EXPANSION for width in WIDTHS)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride and dilation), 1x1, and a shortcut (fig. 5, right)."""

    def __init__(self, inputs: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, 4 width, H / stride, W / stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _deep_stem(outputs: int) -> nn.Sequential:
    half = outputs // 2
    return nn.Sequential(
        nn.Conv2d(3, half, 3, 2, 1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, half, 3, 1, 1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, outputs, 3, 1, 1, bias=False),
    )


class ResNetFeatures(nn.Module):
    """The outputs of the stages: strides 4, 8, 16, 32, or 4, 8, 8, 8 when `dilated`.

    The first block of a dilated stage keeps the rate of the stage before it.
    """

    def __init__(self, depth: int, *, deep_stem: bool = False, dilated: bool = False) -> None:
        super().__init__()
        channels = 128 if deep_stem else 64
        self.conv1: nn.Module = (
            _deep_stem(channels) if deep_stem else nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(channels)
        self.layers = nn.ModuleList()
        rate = 1
        for index, (width, count) in enumerate(zip(WIDTHS, BLOCKS[depth], strict=True)):
            widened = dilated and index >= 2
            first = Bottleneck(
                channels, width, stride=1 if index == 0 or widened else 2, dilation=rate
            )
            rate = rate * 2 if widened else rate
            channels = width * EXPANSION
            rest = (Bottleneck(channels, width, dilation=rate) for _ in range(count - 1))
            self.layers.append(nn.Sequential(first, *rest))

    def forward(self, image: Tensor, stages: int = 4) -> list[Tensor]:
        """Outputs of the first `stages` stages of a normalised image [N, 3, H, W]."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        outputs = []
        for stage in list(self.layers)[:stages]:
            x = stage(x)
            outputs.append(x)
        return outputs
