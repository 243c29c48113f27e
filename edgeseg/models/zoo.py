"""The trainable architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from torch import Tensor, nn

from edgeseg.models.deeplabv3plus import DeepLabV3Plus
from edgeseg.models.edge_sinet import EdgeSINet
from edgeseg.models.icnet import ICNet
from edgeseg.models.portrait import PortraitNet
from edgeseg.models.yolact import Yolact


class Segmenter(Protocol):
    """What training and export need of a network, besides being an `nn.Module`."""

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from an ImageNet MobileNetV2 state."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Logits [N, 1, h, w] of an RGB image [N, 3, H, W] in [-1, 1], finest first."""


CAMVID_CLASSES = 11

ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "portrait": PortraitNet,
    "portrait-sinet": EdgeSINet,
    "driving": lambda: DeepLabV3Plus(CAMVID_CLASSES),
    "driving-icnet": lambda: ICNet(CAMVID_CLASSES),
    "instances": lambda: Yolact(2),
}


def build(name: str) -> nn.Module:
    """A new network of architecture `name` (a key of `ARCHITECTURES`)."""
    return ARCHITECTURES[name]()


def start_from_imagenet(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fill the encoder of `network` from a pretrained MobileNetV2 state."""
    cast(Segmenter, network).load_backbone(state)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters())
