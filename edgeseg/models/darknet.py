"""DarkNet-53 features (Redmon and Farhadi 2018, arXiv 1804.02767, table 1), for published weights.

Names are those of dbolya/yolact `backbone.py` (MIT).
"""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = (1, 2, 8, 8, 4)
"""Residual blocks per stage."""
STAGE_CHANNELS: tuple[int, ...] = (64, 128, 256, 512, 1024)
LEAK = 0.1


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(LEAK, inplace=True),
    )


class DarkBlock(nn.Module):
    """1x1 to half the channels, 3x3 back, and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels // 2, 1)
        self.conv2 = _conv(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y: Tensor = self.conv2(self.conv1(x)) + x
        return y


class DarkNetFeatures(nn.Module):
    """The outputs of the five stages, strides 2 to 32."""

    def __init__(self) -> None:
        super().__init__()
        self._preconv = _conv(3, 32, 3)
        self.layers = nn.ModuleList()
        inputs = 32
        for channels, count in zip(STAGE_CHANNELS, BLOCKS, strict=True):
            blocks = (DarkBlock(channels) for _ in range(count))
            self.layers.append(nn.Sequential(_conv(inputs, channels, 3, 2), *blocks))
            inputs = channels

    def forward(self, image: Tensor) -> list[Tensor]:
        """Outputs of all stages of an image [N, 3, H, W] in [0, 1]."""
        x = self._preconv(image)
        outputs = []
        for stage in self.layers:
            x = stage(x)
            outputs.append(x)
        return outputs
