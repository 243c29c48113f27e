"""`driving-icnet`: an image cascade (ICNet, Zhao et al. 2018, arXiv 1704.08545) on MobileNetV2.

Three branches see the picture at falling resolution (sec. 3.2, fig. 2): the full picture goes
through three strided convolutions only; the halved one through the first blocks of the backbone;
and, as in the authors' code, the deep blocks continue from those *shared* features at half their
resolution instead of starting from a quarter-size picture. Pyramid pooling closes the deep branch
(its levels are summed), cascade feature fusion joins deep with medium and medium with shallow
(sec. 3.3, fig. 3), and every fusion is guided by its own auxiliary loss in training (sec. 3.4).
Not in the paper: depthwise-separable convolutions and a residual at stride 4 for thin objects.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.layers import SeparableConv, conv_bn, conv_bn_relu, resized_like
from edgeseg.models.mobilenetv2 import MobileNetV2Features, load_features

BINS = (1, 2, 3, 6)
MEDIUM_BLOCK, DEEP_BLOCK = 6, 17


def pooling_matrix(inputs: int, bins: int) -> Tensor:
    """Rows [bins, inputs] that average the cells of adaptive pooling, which ONNX cannot express."""
    matrix = np.zeros((bins, inputs), np.float32)  # numpy: a constant to an export, no subgraph
    for row in range(bins):
        start, stop = row * inputs // bins, -(-(row + 1) * inputs // bins)
        matrix[row, start:stop] = 1.0 / (stop - start)
    return torch.from_numpy(matrix)


class PyramidPooling(nn.Module):
    """Means over 1, 4, 9 and 36 cells, enlarged and added to the features (Zhao et al., sec. 3.2).

    The sum has no weights of its own, unlike PSPNet's concatenation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x` [N, C, H, W]."""
        y = x
        for bins in BINS:
            rows = pooling_matrix(int(x.shape[2]), bins).to(x)
            columns = pooling_matrix(int(x.shape[3]), bins).to(x)
            y = y + resized_like(rows @ x @ columns.T, x)
        return y


class CascadeFusion(nn.Module):
    """Cascade feature fusion (sec. 3.3): coarse features enlarged and refined, plus finer ones.

    `head` gives the class logits of the enlarged coarse features, for the auxiliary loss.
    """

    def __init__(self, coarse: int, fine: int, channels: int, classes: int) -> None:
        super().__init__()
        self.refine = SeparableConv(coarse, channels, dilation=2)
        self.fine = conv_bn(fine, channels)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(coarse, classes, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse `coarse` [N, C, H/2, W/2] with `fine` [N, F, H, W]; features and aux logits."""
        fused: Tensor = self.relu(self.refine(resized_like(coarse, fine)) + self.fine(fine))
        return fused, self.head(coarse)


class ICNet(nn.Module):
    """Class logits at stride 4 for an RGB image in [-1, 1] of any height and width."""

    def __init__(self, classes: int, *, channels: int = 128) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(DEEP_BLOCK, output_stride=16)
        self.project = conv_bn_relu(320, channels)
        self.pyramid = PyramidPooling()
        self.shallow = nn.ModuleList(
            [
                conv_bn_relu(3, 32, 3, stride=2),
                SeparableConv(32, 48, stride=2),
                SeparableConv(48, 64, stride=2),
            ]
        )
        self.fuse16 = CascadeFusion(channels, 32, channels, classes)
        self.fuse8 = CascadeFusion(channels, 64, channels, classes)
        self.head = nn.Conv2d(channels, classes, 1)
        self.detail = nn.Sequential(SeparableConv(48, 48), nn.Conv2d(48, classes, 1))

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the shared encoder from an ImageNet state."""
        load_features(self.backbone, state)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits [N, classes, h, w] of `image` [N, 3, H, W], finest first: strides 4, 16, 32.

        The coarser ones are the cascade's label guidance; an export leaves them out.
        """
        halved = F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=False)
        medium, deep = self.backbone(halved, (MEDIUM_BLOCK, DEEP_BLOCK))
        deep = self.pyramid(self.project(deep))
        half, quarter, eighth = self.shallow
        stride4 = quarter(half(image))
        fused16, aux32 = self.fuse16(deep, medium)
        fused8, aux16 = self.fuse8(fused16, eighth(stride4))
        fine = resized_like(self.head(fused8), stride4) + self.detail(stride4)
        return [fine, aux16, aux32]
