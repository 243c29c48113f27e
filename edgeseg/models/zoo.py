"""The trainable architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Protocol, cast

from torch import Tensor, nn

from edgeseg.errors import ConfigError, near_match
from edgeseg.labels import CAMVID
from edgeseg.models.deeplabv3plus import DeepLabV3Plus
from edgeseg.models.edge_sinet import EdgeSINet
from edgeseg.models.icnet import ICNet
from edgeseg.models.portrait import PortraitNet
from edgeseg.models.yolact import Yolact


class Segmenter(Protocol):
    """What training and export need of a network, besides being an `nn.Module`."""

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Start the encoder from an ImageNet MobileNetV2 state."""

    def __call__(self, image: Tensor) -> object:
        """What the task's loss takes: logits [N, C, h, w], finest first, or YOLACT's tensors."""


class Architecture(NamedTuple):
    """task: whose outputs the network gives. build: makes it for so many classes."""

    task: Literal["portrait", "scene", "instance"]
    build: Callable[[int], nn.Module]
    classes: int = 1


ARCHITECTURES: dict[str, Architecture] = {
    "portrait": Architecture("portrait", lambda _: PortraitNet()),
    "portrait-sinet": Architecture("portrait", lambda _: EdgeSINet()),
    "driving": Architecture("scene", DeepLabV3Plus, len(CAMVID)),
    "driving-icnet": Architecture("scene", ICNet, len(CAMVID)),
    "instances": Architecture("instance", Yolact, 2),
}


def architecture(name: str, *, task: str | None = None) -> Architecture:
    """What is known of architecture `name`.

    Raises: ConfigError when there is none of that name, or it is for another `task`.
    """
    known = [key for key, value in ARCHITECTURES.items() if task in (None, value.task)]
    if name not in known:
        what = repr(name)
        if name in ARCHITECTURES:
            what += f", which is for {ARCHITECTURES[name].task}"
        kind = f" for {task}" if task else ""
        raise ConfigError(
            f"arch: expected {' or '.join(known)}{kind}, got {what}{near_match(name, known)}"
        )
    return ARCHITECTURES[name]


def build(name: str, classes: int | None = None) -> nn.Module:
    """A new network of architecture `name`, for its usual number of classes or for `classes`."""
    found = architecture(name)
    return found.build(found.classes if classes is None else classes)


def start_from_imagenet(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fill the encoder of `network` from a pretrained MobileNetV2 state."""
    cast(Segmenter, network).load_backbone(state)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters())
