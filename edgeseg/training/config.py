"""Settings of a training run, read from `configs/train/<name>.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentConfig(_Frozen):
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


class LossConfig(_Frozen):
    """Weights of the loss terms."""

    edge_weight: float = 3.0
    dice: float = 1.0
    coarse: float = 0.3
    teacher: Share = 0.0


class TrainConfig(_Frozen):
    """One run: architecture, data mixture, schedule."""

    arch: str
    seed: int = 0
    epochs: int = Field(ge=1)
    warmup_epochs: float = 1.0
    cooldown_epochs: float = 10.0
    samples_per_epoch: int = 2400
    batch_size: int = 16
    sizes: tuple[int, ...] = (160, 192, 224)
    cooldown_sizes: tuple[int, ...] = (192, 224, 256)
    validation_size: int = 224
    learning_rate: float = 2e-3
    backbone_scale: float = 0.5
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    mixture: dict[str, float]
    bystander_share: Share = 0.0
    """People smaller than this share of the picture's largest are ignored (instances/ only)."""
    augment: AugmentConfig = AugmentConfig()
    cooldown_augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()


def load_config(path: Path) -> TrainConfig:
    """The validated settings of the YAML file at `path`."""
    return TrainConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
