"""`portrait`: MobileNetV2 to stride 32 with a gated context and a light decoder to stride 2.

Encoder: Sandler et al. 2018 (arXiv 1801.04381), narrowed in its first blocks. Context: the pooled
sigmoid gate of LR-ASPP (Howard et al. 2019, arXiv 1905.02244, sec. 6.3): evidence from the whole
picture may veto a person, so that a chair in an empty room stays background.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from edgeseg.models.layers import GatedContext, SeparableConv, conv_bn, conv_bn_relu, upsample2
from edgeseg.models.mobilenetv2 import MobileNetV2Features, load_features

HIDDEN = {2: 48, 3: 96, 4: 96, 12: 384, 13: 384, 14: 384}


class Merge(nn.Module):
    """One decoder step: upsampled coarse features plus a projected skip, then a separable conv."""

    def __init__(self, coarse: int, skip: int, out_channels: int) -> None:
        super().__init__()
        self.skip = conv_bn(skip, coarse)
        self.relu = nn.ReLU(inplace=True)
        self.refine = SeparableConv(coarse, out_channels)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Merge `coarse` [N, C, H/2, W/2] with `skip` [N, S, H, W] to [N, out, H, W]."""
        y: Tensor = self.refine(self.relu(upsample2(coarse) + self.skip(skip)))
        return y


class PortraitNet(nn.Module):
    """Person logit at stride 2 for an RGB image in [-1, 1]; height and width in steps of 32."""

    taps = (1, 3, 6, 13, 14)

    def __init__(self, hidden: Mapping[int, int] | None = None) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(14, HIDDEN if hidden is None else hidden)
        self.context = GatedContext(160, 64)
        self.merge16 = Merge(64, 96, 48)
        self.merge8 = Merge(48, 32, 32)
        self.merge4 = Merge(32, 24, 16)
        self.coarse_heads = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in (16, 32, 48))
        self.skip2 = conv_bn(16, 16)
        self.head = nn.Sequential(
            nn.ReLU(inplace=True),
            conv_bn_relu(16, 16, 3, groups=16),
            nn.Conv2d(16, 1, 1),
        )

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from an ImageNet state."""
        load_features(self.backbone, state)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits of `image` [N, 3, H, W], finest first: strides 2, 4, 8, 16.

        The coarser ones exist to be supervised in training; an export leaves them out.
        """
        f2, f4, f8, f16, f32 = self.backbone(image, self.taps)
        x16 = self.merge16(self.context(f32), f16)
        x8 = self.merge8(x16, f8)
        x4 = self.merge4(x8, f4)
        fine = self.head(upsample2(x4) + self.skip2(f2))
        coarse = (head(x) for head, x in zip(self.coarse_heads, (x4, x8, x16), strict=True))
        return [fine, *coarse]
