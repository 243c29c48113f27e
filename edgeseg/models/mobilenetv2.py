"""MobileNetV2 features (Sandler et al. 2018, arXiv 1801.04381, table 2) with torchvision's names.

The first inverted residuals run at high resolution and dominate the time on a CPU, so their hidden
widths can be reduced: `prune_hidden` cuts a pretrained state to the widths of a smaller network.
Input range: RGB in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgeseg.models.layers import conv_bn

# Per block of `features`: (output channels, stride, hidden channels); block 0 is the stem.
BLOCKS: tuple[tuple[int, int, int], ...] = (
    (32, 2, 0),
    (16, 1, 32),
    (24, 2, 96),
    (24, 1, 144),
    (32, 2, 144),
    (32, 1, 192),
    (32, 1, 192),
    (64, 2, 192),
    (64, 1, 384),
    (64, 1, 384),
    (64, 1, 384),
    (96, 1, 384),
    (96, 1, 576),
    (96, 1, 576),
    (160, 2, 576),
    (160, 1, 960),
    (160, 1, 960),
    (320, 1, 960),
)


def _conv_bn_relu6(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int,
    *,
    groups: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    layers = conv_bn(
        in_channels, out_channels, kernel, stride=stride, groups=groups, dilation=dilation
    )
    return nn.Sequential(*layers, nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, linear projection (sec. 3.3); identity where shapes allow."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, hidden: int, dilation: int = 1
    ) -> None:
        super().__init__()
        self.identity = stride == 1 and in_channels == out_channels
        expand = [] if hidden == in_channels else [_conv_bn_relu6(in_channels, hidden, 1, 1)]
        self.conv = nn.Sequential(
            *expand,
            _conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden, dilation=dilation),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, H, W] to [N, out, H / stride, W / stride]."""
        y: Tensor = self.conv(x)
        return x + y if self.identity else y


class MobileNetV2Features(nn.Module):
    """Blocks 0 to `last` of MobileNetV2 1.0; `hidden` overrides hidden widths by block index.

    Beyond `output_stride` strides become dilation (Chen et al. 2017, arXiv 1706.05587, sec. 3.1):
    the first block that would have strided keeps its own rate, the ones after it see the new one.
    """

    def __init__(
        self, last: int, hidden: Mapping[int, int] | None = None, *, output_stride: int = 32
    ) -> None:
        super().__init__()
        widths = dict(hidden or {})
        blocks: list[nn.Module] = [_conv_bn_relu6(3, BLOCKS[0][0], 3, 2)]
        reached, rate = 2, 1
        for index in range(1, last + 1):
            out_channels, stride, full = BLOCKS[index]
            dilation = rate
            if reached * stride > output_stride:
                rate, stride = rate * stride, 1
            reached *= stride
            blocks.append(
                InvertedResidual(
                    BLOCKS[index - 1][0],
                    out_channels,
                    stride=stride,
                    hidden=widths.get(index, full),
                    dilation=dilation,
                )
            )
        self.features = nn.ModuleList(blocks)

    def forward(self, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Outputs of the blocks named in `taps`, in rising order, of an image [N, 3, H, W]."""
        outputs = []
        for index, block in enumerate(self.features):
            x = block(x)
            if index in taps:
                outputs.append(x)
        return outputs


def important_hidden(state: Mapping[str, Tensor], block: int, keep: int) -> Tensor:
    """Sorted indices of the `keep` hidden channels of `block` that matter most to its output.

    Importance is the scale of the channel after the depthwise batch norm times the norm of its
    outgoing weights (network slimming, Liu et al. 2017, arXiv 1708.06519, sec. 3, with weights).
    """
    gamma = state[f"features.{block}.conv.1.1.weight"].abs()
    outgoing = state[f"features.{block}.conv.2.weight"].flatten(1).norm(dim=0)
    return torch.topk(gamma * outgoing, keep).indices.sort().values


def prune_hidden(state: Mapping[str, Tensor], hidden: Mapping[int, int]) -> dict[str, Tensor]:
    """A copy of `state` whose blocks in `hidden` keep only that many hidden channels."""
    pruned = dict(state)
    for block, keep in hidden.items():
        kept = important_hidden(state, block, keep)
        prefix = f"features.{block}.conv."
        for key, value in state.items():
            if not key.startswith(prefix) or value.ndim == 0:
                continue
            stage = key[len(prefix)]
            if stage in "01":
                pruned[key] = value[kept]
            elif stage == "2":
                pruned[key] = value[:, kept]
    return pruned


def load_features(model: MobileNetV2Features, state: Mapping[str, Tensor]) -> None:
    """Fill `model` from a full-width pretrained state, pruning and dropping what it lacks."""
    own = model.state_dict()
    hidden = {
        block: own[f"features.{block}.conv.2.weight"].shape[1]
        for block in range(2, len(model.features))
    }
    pruned = prune_hidden(state, hidden)
    model.load_state_dict({key: pruned[key] for key in own})
