"""What can be imported: each published network, whose it is, and how its checkpoints are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from edgeseg.errors import ConfigError, near_match
from edgeseg.models import sinet_cityscapes
from edgeseg.models.deeplabv3plus_official import RATES, OfficialDeepLab
from edgeseg.models.export import Triple
from edgeseg.models.icnet_official import OfficialICNet
from edgeseg.models.sinet import PersonLogit
from edgeseg.models.yolact_official import (
    ASPECT_RATIOS,
    COCO_SCALES,
    PASCAL_SCALES,
    REFERENCE_SIZE,
    Backbone,
    OfficialYolact,
)
from edgeseg.spec import Head, OutputSpec, Task
from edgeseg.types import Size

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
YOLACT_MEAN: Triple = (123.68, 116.78, 103.94)
YOLACT_STD: Triple = (58.40, 57.12, 57.38)
SINET_MEAN: Triple = (102.89, 111.25, 126.91)
SINET_STD: Triple = tuple(255 * s for s in (62.93, 62.82, 66.36))  # type: ignore[assignment]
"""BGR, of the data SINet was trained on, as users of the weights state them. The official code
divides by 255 once more, so its network sees about -0.01 to 0.01."""
PASCAL_CLASSES = 20


@dataclass(frozen=True)
class Settings:
    """What decides the form of a network: classes without YOLACT's background, input size."""

    classes: int
    size: Size
    output_stride: int = 16
    separable: bool = False


@dataclass(frozen=True)
class Architecture:
    """One published network.

    head_key: the tensor whose first axis is (classes + background) * per_place.
    mean, std: of pixels 0..255, in the network's channel order: (pixel - mean) / std.
    step: width and height are multiples. unused: keys only the training needs, as a pattern.
    official_key: the name in the checkpoint of a tensor of our network.
    """

    name: str
    title: str
    repository: str
    citation: str
    licence: str
    data: str
    task: Task
    head: Head
    build: Callable[[Settings], nn.Module]
    head_key: str
    default_size: Callable[[int], Size]
    notes: str
    outputs: tuple[OutputSpec, ...]
    background: int = 0
    per_place: int = 1
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    bgr: bool = False
    step: int = 1
    square: bool = False
    unused: str = r"(?!)"
    official_key: Callable[[str], str] = str

    def classes(self, state: Mapping[str, Tensor]) -> int | None:
        """How many classes the head of `state` has; None when it has no such head."""
        head = state.get(self.head_key)
        if head is None or head.ndim == 0 or head.shape[0] % self.per_place:
            return None
        count = int(head.shape[0]) // self.per_place - self.background
        return count if count > 0 else None

    def needed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`state` without what only the training needs."""
        return {key: value for key, value in state.items() if not re.match(self.unused, key)}

    def settings(self, state: Mapping[str, Tensor], size: Size, output_stride: int) -> Settings:
        """The form of the network that `state` belongs to."""
        separable = any(".body." in key for key in state)
        classes = self.classes(state) or 2
        return Settings(classes, size, output_stride, separable=separable)


def architecture(name: str) -> Architecture:
    """The architecture of this name. Raises: ConfigError with a near match."""
    found = ARCHITECTURES.get(name)
    if found is None:
        known = list(ARCHITECTURES)
        raise ConfigError(
            f"unknown --arch {name!r}{near_match(name, known)} (known: {', '.join(known)})"
        )
    return found


_SCORES = (OutputSpec(name="scores", meaning="scores", activation="softmax"),)
_YOLACT_OUTPUTS = (
    OutputSpec(name="boxes", meaning="boxes"),
    OutputSpec(name="scores", meaning="scores"),
    OutputSpec(name="coefficients", meaning="coefficients"),
    OutputSpec(name="prototypes", meaning="prototypes", layout="nhwc"),
)
_SINET_PAPER = (
    "Park, Sjösund, Yoo, Monet, Bang, Kwak: SINet: Extreme Lightweight Portrait Segmentation "
    "Networks with Spatial Squeeze Modules and Information Blocking Decoder, WACV 2020, "
    "arXiv 1911.09099"
)
_CITYSCAPES_TERMS = "trained on Cityscapes, whose terms allow non-commercial use only"


def _cityscapes_size(_classes: int) -> Size:
    return Size(2048, 1024)


def _yolact(backbone: Backbone) -> Architecture:
    def build(settings: Settings) -> nn.Module:
        pascal = backbone == "resnet50" and settings.classes == PASCAL_CLASSES
        return OfficialYolact(
            settings.classes,
            backbone,
            size=settings.size.width,
            scales=PASCAL_SCALES if pascal else COCO_SCALES,
            square_anchors=not pascal,
        )

    dark = backbone == "darknet53"
    return Architecture(
        name=f"yolact-{backbone}",
        title=f"YOLACT, {'DarkNet-53' if dark else backbone.replace('resnet', 'ResNet-')}",
        repository="dbolya/yolact",
        citation="Bolya, Zhou, Xiao, Lee: YOLACT: Real-time Instance Segmentation, ICCV 2019, "
        "arXiv 1904.02689",
        licence="MIT (Daniel Bolya); the weights as their publisher says",
        data="COCO 2017, or as the publisher of the weights says",
        task="instance",
        head="yolact",
        build=build,
        head_key="prediction_layers.0.conf_layer.weight",
        background=1,
        per_place=len(ASPECT_RATIOS),
        mean=(0.0, 0.0, 0.0) if dark else YOLACT_MEAN,
        std=(255.0, 255.0, 255.0) if dark else YOLACT_STD,
        default_size=lambda _: Size(REFERENCE_SIZE, REFERENCE_SIZE),
        square=True,
        # `backbone.layer*` and further downsampling layers are dropped by the official loader too.
        unused=r"semantic_seg_conv\.|backbone\.layer\d|fpn\.downsample_layers\.([2-9]|\d\d)",
        outputs=_YOLACT_OUTPUTS,
        notes="Everything before NMS: boxes decoded, scores without the background column.",
    )


_KNOWN: tuple[Architecture, ...] = (
    Architecture(
        name="sinet",
        title="SINet for portraits, official weights",
        repository="clovaai/ext_portrait_segmentation",
        citation=_SINET_PAPER,
        licence="MIT (NAVER); trained on EG1800, whose pictures have their own terms",
        data="EG1800 portraits and extra data",
        task="portrait",
        head="person",
        build=lambda _: PersonLogit(),
        head_key="classifier.1.weight",
        default_size=lambda _: Size(320, 320),
        step=32,
        mean=SINET_MEAN,
        std=SINET_STD,
        bgr=True,
        outputs=(OutputSpec(name="person"),),
        notes="The probability of class 1 of the official softmax, at full resolution.",
    ),
    Architecture(
        name="sinet-cityscapes",
        title="SINet for driving scenes, official weights",
        repository="clovaai/c3_sinet",
        citation=_SINET_PAPER,
        licence=f"MIT (NAVER); {_CITYSCAPES_TERMS}",
        data="Cityscapes, fine annotations",
        task="semantic",
        head="semantic",
        build=lambda settings: sinet_cityscapes.SceneSINet(settings.classes),
        head_key="encoder.classifier.conv.weight",
        default_size=_cityscapes_size,
        step=sinet_cityscapes.STEP,
        outputs=_SCORES,
        notes="Scores at half the input's size; the official code then enlarges them by 2, "
        "bilinear with aligned corners.",
    ),
    _yolact("resnet50"),
    _yolact("resnet101"),
    _yolact("darknet53"),
    Architecture(
        name="deeplabv3plus-mobilenetv2",
        title="DeepLabv3+ on MobileNetV2",
        repository="VainF/DeepLabV3Plus-Pytorch",
        citation="Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable "
        "Convolution for Semantic Image Segmentation, ECCV 2018, arXiv 1802.02611; Sandler et al.: "
        "MobileNetV2, CVPR 2018, arXiv 1801.04381",
        licence="MIT (Gongfan Fang); the weights under the terms of their training data",
        data="PASCAL VOC 2012 or Cityscapes, by the number of classes",
        task="semantic",
        head="semantic",
        build=lambda settings: OfficialDeepLab(
            settings.classes, output_stride=settings.output_stride, separable=settings.separable
        ),
        head_key="classifier.classifier.3.weight",
        default_size=lambda classes: Size(513, 513) if classes == 21 else Size(2048, 1024),
        outputs=_SCORES,
        notes="Scores at a quarter of the input's size; the official code then enlarges them to "
        "the full size, bilinear with half-pixel centres.",
    ),
    Architecture(
        name="icnet-resnet50",
        title="ICNet on ResNet-50",
        repository="liminn/ICNet-pytorch",
        citation="Zhao, Qi, Shen, Shi, Jia: ICNet for Real-Time Semantic Segmentation on "
        "High-Resolution Images, ECCV 2018, arXiv 1704.08545",
        licence=f"MIT (Limin Zhang); {_CITYSCAPES_TERMS}",
        data="Cityscapes, fine annotations",
        task="semantic",
        head="semantic",
        build=lambda settings: OfficialICNet(settings.classes),
        head_key="head.conv_cls.weight",
        default_size=_cityscapes_size,
        step=32,
        unused=r"pretrained\.fc\.|head\.cff_\d+\.conv_low_cls\.",
        official_key=lambda key: re.sub(
            r"^pretrained\.layers\.(\d)", lambda m: f"pretrained.layer{int(m[1]) + 1}", key
        ),
        outputs=_SCORES,
        notes="Scores at a quarter of the input's size; the official code then enlarges them by 4, "
        "bilinear with aligned corners.",
    ),
)
ARCHITECTURES: dict[str, Architecture] = {known.name: known for known in _KNOWN}
OUTPUT_STRIDES = tuple(RATES)
