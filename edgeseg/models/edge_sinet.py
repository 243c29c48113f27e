"""`portrait-sinet`: SINet's two ideas on pretrained features, in operators a CPU likes.

Park et al. 2020 (arXiv 1911.09099). Kept: *spatial squeeze* (sec. 3.3: parallel branches that look
at the features at different resolutions) and *information blocking* (sec. 3.2: where the coarse
prediction is sure, detail from early layers is kept out). Replaced, because they cost time and not
accuracy: PReLU by ReLU, channel softmax by one sigmoid, concatenation and shuffles by sums, and the
stem by the first blocks of MobileNetV2, which come with ImageNet weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.layers import GatedContext, SeparableConv, conv_bn, conv_bn_relu, upsample2
from edgeseg.models.mobilenetv2 import (
    InvertedResidual,
    MobileNetV2Features,
    important_hidden,
    load_features,
)

HIDDEN = {2: 48, 3: 96, 4: 96, 5: 128, 6: 128}
SQUEEZED_BLOCKS = (8, 9, 10)


class SpatialSqueeze(nn.Module):
    """S2 block: one inverted bottleneck at full and one at half resolution, summed (fig. 4).

    The squeezed branch projects before it is upsampled, which is the same map at a quarter of
    the work because 1x1 convolution and bilinear upsampling commute.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.fine = InvertedResidual(channels, channels, stride=1, hidden=hidden)
        self.squeezed = InvertedResidual(channels, channels, stride=1, hidden=hidden)
        self.fine.identity = self.squeezed.identity = False

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape; H and W even."""
        y: Tensor = x + self.fine(x) + upsample2(self.squeezed(F.avg_pool2d(x, 2)))
        return y

    def load_inverted_residual(self, state: Mapping[str, Tensor], block: int) -> None:
        """Share out the hidden channels of pretrained `block`: the strongest go to `fine`."""
        hidden = self.hidden
        fine = important_hidden(state, block, hidden)
        ranked = important_hidden(state, block, 2 * hidden)
        squeezed = ranked[~torch.isin(ranked, fine)]
        for branch, kept in ((self.fine, fine), (self.squeezed, squeezed)):
            branch.load_state_dict(_hidden_slice(state, block, kept))


def _hidden_slice(state: Mapping[str, Tensor], block: int, kept: Tensor) -> dict[str, Tensor]:
    prefix = f"features.{block}."
    sliced = {}
    for key, value in state.items():
        if key.startswith(prefix):
            stage = key[len(prefix) + len("conv.")]
            if value.ndim and stage in "01":
                value = value[kept]
            elif stage == "2":
                value = value[:, kept]
            sliced[key[len(prefix) :]] = value
    return sliced


def uncertainty(logit: Tensor) -> Tensor:
    """The information-blocking gate, 1 where `logit` says one half and 0 where it is sure."""
    probability = torch.sigmoid(logit.detach())
    return 4.0 * probability * (1.0 - probability)


class BlockingMerge(nn.Module):
    """Decoder step: coarse features plus detail let through only where `logit` is unsure."""

    def __init__(self, coarse: int, skip: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = conv_bn(coarse, out_channels)
        self.skip = conv_bn(skip, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.refine = SeparableConv(out_channels, out_channels)

    def forward(self, coarse: Tensor, skip: Tensor, logit: Tensor) -> Tensor:
        """Merge `coarse` [N, C, H/2, W/2] and `skip` [N, S, H, W]; `logit` [N, 1, H, W]."""
        detail = self.skip(skip) * uncertainty(logit)
        y: Tensor = self.refine(self.relu(upsample2(self.reduce(coarse)) + detail))
        return y


class EdgeSINet(nn.Module):
    """Person logits for an RGB image in [-1, 1]; height and width in steps of 32."""

    taps = (1, 3, 6, 7)

    def __init__(self, hidden: Mapping[int, int] | None = None, squeeze_hidden: int = 192) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(7, HIDDEN if hidden is None else hidden)
        self.squeeze = nn.Sequential(*(SpatialSqueeze(64, squeeze_hidden) for _ in SQUEEZED_BLOCKS))
        self.context = GatedContext(64, 64)
        self.coarse_head = nn.Conv2d(64, 1, 1)
        self.merge8 = BlockingMerge(64, 32, 32)
        self.head8 = nn.Conv2d(32, 1, 1)
        self.merge4 = BlockingMerge(32, 24, 16)
        self.head4 = nn.Conv2d(16, 1, 1)
        self.detail = nn.Sequential(conv_bn_relu(16, 16, 3, groups=16), nn.Conv2d(16, 1, 1))

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start encoder and squeeze blocks from an ImageNet state."""
        load_features(self.backbone, state)
        for module, block in zip(self.squeeze, SQUEEZED_BLOCKS, strict=True):
            if isinstance(module, SpatialSqueeze):
                module.load_inverted_residual(state, block)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits of `image` [N, 3, H, W], finest first: strides 2, 4, 8, 16.

        The coarser ones are the decoder's own gates and are supervised in training.
        """
        f2, f4, f8, x = self.backbone(image, self.taps)
        x = self.context(self.squeeze(x))
        logit16 = self.coarse_head(x)
        x = self.merge8(x, f8, upsample2(logit16))
        logit8 = self.head8(x)
        x = self.merge4(x, f4, upsample2(logit8))
        logit4 = self.head4(x)
        coarse = upsample2(logit4)
        logit2 = coarse + self.detail(f2) * uncertainty(coarse)
        return [logit2, logit4, logit8, logit16]
