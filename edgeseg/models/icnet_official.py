"""ICNet on ResNet-50 as in liminn/ICNet-pytorch (MIT), for its published weights.

Zhao et al. 2018, arXiv 1704.08545: three branches (sec. 3.2, fig. 2), pyramid pooling that sums its
levels, cascade feature fusion (sec. 3.3, fig. 3). As in that code the quarter-size picture passes
through the whole dilated ResNet and the half-size one through its first two stages again, with the
same weights; every enlargement aligns the corners. Names are those of `models/icnet.py` there,
with `layer1` to `layer4` of the backbone as `layers.0` to `layers.3`. For the network edgeseg
trains see `icnet.py`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.icnet import BINS, pooling_matrix
from edgeseg.models.resnet import STAGE_CHANNELS, ResNetFeatures

CHANNELS = 128


class _ConvNormRelu(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H/2, W/2]."""
        return F.relu(self.bn(self.conv(x)))


class _Fusion(nn.Module):
    """Cascade feature fusion: coarse features enlarged and refined, plus finer ones."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.conv_low = nn.Sequential(
            nn.Conv2d(coarse, CHANNELS, 3, 1, 2, dilation=2, bias=False), nn.BatchNorm2d(CHANNELS)
        )
        self.conv_high = nn.Sequential(
            nn.Conv2d(fine, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS)
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """[N, 128, H, W] of `coarse` [N, C, h, w] and `fine` [N, F, H, W]."""
        return F.relu(self.conv_low(_enlarged(coarse, fine.shape[-2:])) + self.conv_high(fine))


class _Head(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cff_12 = _Fusion(CHANNELS, 64)
        self.cff_24 = _Fusion(STAGE_CHANNELS[3], STAGE_CHANNELS[1])
        self.conv_cls = nn.Conv2d(CHANNELS, classes, 1, bias=False)

    def forward(self, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """Scores [N, classes, H/4, W/4] from the features of the three branches."""
        fused = self.cff_12(self.cff_24(quarter, half), full)
        fused = F.interpolate(fused, scale_factor=2.0, mode="bilinear", align_corners=True)
        y: Tensor = self.conv_cls(fused)
        return y


def _enlarged(x: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def _reduced(image: Tensor, factor: float) -> Tensor:
    return F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=True)


def _with_pyramid(x: Tensor) -> Tensor:
    """`x` plus its means over 1, 4, 9 and 36 cells, enlarged (sec. 3.2)."""
    y = x
    for bins in BINS:
        rows = pooling_matrix(x.shape[2], bins).to(x)
        columns = pooling_matrix(x.shape[3], bins).to(x)
        y = y + _enlarged(rows @ x @ columns.T, x.shape[-2:])
    return y


class OfficialICNet(nn.Module):
    """Class scores at stride 4 for an RGB image normalised by ImageNet's statistics.

    The official code enlarges them by 4, bilinear with aligned corners.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.pretrained = ResNetFeatures(50, deep_stem=True, dilated=True)
        self.conv_sub1 = nn.Sequential(
            _ConvNormRelu(3, 32), _ConvNormRelu(32, 32), _ConvNormRelu(32, 64)
        )
        self.head = _Head(classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, classes, H/4, W/4]."""
        half = self.pretrained(_reduced(image, 0.5), stages=2)[-1]
        quarter = _with_pyramid(self.pretrained(_reduced(image, 0.25))[-1])
        y: Tensor = self.head(self.conv_sub1(image), half, quarter)
        return y
