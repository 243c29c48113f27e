"""Settings of a training run, read from `configs/train/<name>.yaml`; `task` says which kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Share = Annotated[float, Field(ge=0.0, le=1.0)]
WidthHeight = tuple[int, int]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Schedule(_Frozen):
    """What every run has: architecture, seed, length, rate, averaging."""

    arch: str
    seed: int = 0
    epochs: int = Field(ge=1)
    warmup_epochs: float = 1.0
    cooldown_epochs: float = 10.0
    samples_per_epoch: int = 2400
    batch_size: int = 16
    validate_every: int = Field(default=1, ge=1)
    learning_rate: float = 2e-3
    backbone_scale: float = 0.5
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    bfloat16: bool = False
    """Mixed precision: twice as fast on a GPU and on CPUs with AVX512-BF16 or AMX, slower else."""

    def cooling(self, epoch: int) -> bool:
        """Whether `epoch`, counted from 0, lies in the cool-down."""
        return epoch >= self.epochs - self.cooldown_epochs


class PortraitAugment(_Frozen):
    """How often each change is made to a training sample."""

    whole_view: Share = 0.45
    upper_view: Share = 0.35
    rotate: Share = 0.4
    paste_background: Share = 0.35
    harsh_scene: Share = 0.0
    """Of the pasted backgrounds: strongly enlarged, and darker, brighter or tinted."""
    second_person: Share = 0.1
    bystanders: Share = 0.2
    occluder: Share = 0.06
    low_light: Share = 0.06
    blur: Share = 0.2
    noise: Share = 0.25
    jpeg: Share = 0.25


class PortraitLoss(_Frozen):
    """Weights of the loss terms."""

    edge_weight: float = 3.0
    dice: float = 1.0
    coarse: float = 0.3
    teacher: Share = 0.0


class PortraitConfig(Schedule):
    """A portrait run: mixture of sources, square pictures."""

    task: Literal["portrait"] = "portrait"
    sizes: tuple[int, ...] = (160, 192, 224)
    cooldown_sizes: tuple[int, ...] = (192, 224, 256)
    validation_size: int = 224
    mixture: dict[str, float]
    bystander_share: Share = 0.0
    """People smaller than this share of the picture's largest are ignored (instances/ only)."""
    augment: PortraitAugment = PortraitAugment()
    cooldown_augment: PortraitAugment = PortraitAugment()
    loss: PortraitLoss = PortraitLoss()


class PhotoConfig(_Frozen):
    """How often light and camera change."""

    low_light: Share = 0.03
    blur: Share = 0.15
    noise: Share = 0.2
    jpeg: Share = 0.2


class SceneAugment(_Frozen):
    """Views of a scene and what is pasted into it."""

    scale: tuple[float, float] = (0.6, 2.0)
    """Enlargement of the picture before the crop, log-uniform."""
    aspect: tuple[float, float] = (0.75, 1.25)
    """Height against width after the stretch: 0.75 is a 4:3 picture drawn as 16:9."""
    aim: Share = 0.4
    """Crops centred on a pixel of a rare class instead of anywhere."""
    mix: Share = 0.5
    """Samples that get the rare classes of another picture pasted in (ClassMix with labels)."""
    photo: PhotoConfig = PhotoConfig()


class SceneLoss(_Frozen):
    """Cross-entropy with class weights (or the hardest pixels), Lovasz-softmax, coarse heads."""

    weight_power: Share = 0.4
    """Class weight = (median frequency / frequency) ** power."""
    hardest: Share = 1.0
    """Share of the pixels with the highest loss that count (OHEM); 1 counts all."""
    lovasz: float = 0.3
    coarse: float = 0.3
    stride: Literal[1, 2] = 2
    """Labels are compared at every pixel or, four times cheaper, at one of each 2 x 2."""


class SceneConfig(Schedule):
    """A driving-scene run on a folder of pictures and label pictures."""

    task: Literal["scene"]
    dataset: str = "camvid"
    classes: int = 11
    rare: tuple[int, ...] = (2, 6, 7, 9, 10)
    pasted: tuple[int, ...] = (2, 6, 9, 10)
    """Rare classes that are solid objects; a fence shows what is behind it."""
    size: WidthHeight = (320, 256)
    cooldown_size: WidthHeight = (480, 352)
    validation_size: WidthHeight = (480, 360)
    augment: SceneAugment = SceneAugment()
    cooldown_augment: SceneAugment = SceneAugment(scale=(0.75, 1.75), aim=0.25)
    loss: SceneLoss = SceneLoss()


TrainConfig = Annotated[PortraitConfig | SceneConfig, Field(discriminator="task")]
_ANY = TypeAdapter[PortraitConfig | SceneConfig](TrainConfig)


def parse_config(values: dict[str, object]) -> PortraitConfig | SceneConfig:
    """The validated settings in `values`; without `task` they are a portrait run's."""
    return _ANY.validate_python({"task": "portrait"} | values)


def load_config(path: Path) -> PortraitConfig | SceneConfig:
    """The validated settings of the YAML file at `path`."""
    return parse_config(yaml.safe_load(path.read_text(encoding="utf-8")))
