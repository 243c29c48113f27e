"""Settings of a training run, read from `configs/train/<name>.yaml`; `task` says which kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeseg.config import assign, load_yaml, parse_assignment
from edgeseg.errors import ConfigError, near_match
from edgeseg.labels import CAMVID_NAMES
from edgeseg.spec import describe_validation

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Side = Annotated[int, Field(ge=16, le=4096)]
WidthHeight = tuple[Side, Side]
Range = tuple[Annotated[float, Field(gt=0.0)], Annotated[float, Field(gt=0.0)]]
"""Least and greatest value."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Schedule(_Frozen):
    """What every run has: architecture, seed, length, rate, averaging."""

    arch: str
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(ge=1)
    warmup_epochs: Weight = 1.0
    cooldown_epochs: Weight = 10.0
    samples_per_epoch: int = Field(default=2400, ge=1)
    batch_size: int = Field(default=16, ge=1)
    validate_every: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0.0)
    backbone_scale: Weight = 0.5
    weight_decay: Weight = 0.01
    clip_norm: float = Field(default=5.0, gt=0.0)
    ema_decay: Share = 0.998
    bfloat16: bool = False
    """Mixed precision: twice as fast on a GPU and on CPUs with AVX512-BF16 or AMX, slower else."""

    @model_validator(mode="after")
    def _has_steps(self) -> Schedule:
        if self.samples_per_epoch < self.batch_size:
            raise ValueError(
                f"samples_per_epoch {self.samples_per_epoch} is less than one batch of "
                f"{self.batch_size}"
            )
        return self

    @property
    def sizes_met(self) -> tuple[WidthHeight, ...]:
        """Every picture size the network will see; each is tried before the run starts."""
        return ()

    @property
    def score_names(self) -> dict[str, str]:
        """What a column of the run's log is called in pictures, where that differs."""
        return {}

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

    edge_weight: Weight = 3.0
    dice: Weight = 1.0
    coarse: Weight = 0.3
    teacher: Share = 0.0


class PortraitConfig(Schedule):
    """A portrait run: mixture of sources, square pictures."""

    task: Literal["portrait"] = "portrait"
    sizes: tuple[Side, ...] = Field(default=(160, 192, 224), min_length=1)
    cooldown_sizes: tuple[Side, ...] = Field(default=(192, 224, 256), min_length=1)
    validation_size: Side = 224
    mixture: dict[str, Weight] = Field(min_length=1)
    bystander_share: Share = 0.0
    """People smaller than this share of the picture's largest are ignored (instances/ only)."""
    augment: PortraitAugment = PortraitAugment()
    cooldown_augment: PortraitAugment = PortraitAugment()
    loss: PortraitLoss = PortraitLoss()

    @property
    def sizes_met(self) -> tuple[WidthHeight, ...]:
        """Squares."""
        sides = {*self.sizes, *self.cooldown_sizes, self.validation_size}
        return tuple((side, side) for side in sorted(sides))

    @model_validator(mode="after")
    def _mixture_has_weight(self) -> PortraitConfig:
        if not any(self.mixture.values()):
            raise ValueError("mixture: every share is 0")
        return self


class PhotoConfig(_Frozen):
    """How often light and camera change."""

    low_light: Share = 0.03
    blur: Share = 0.15
    noise: Share = 0.2
    jpeg: Share = 0.2


class SceneAugment(_Frozen):
    """Views of a scene and what is pasted into it."""

    scale: Range = (0.6, 2.0)
    """Enlargement of the picture before the crop, log-uniform."""
    aspect: Range = (0.75, 1.25)
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
    hardest: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the pixels with the highest loss that count (OHEM); 1 counts all."""
    lovasz: Weight = 0.3
    coarse: Weight = 0.3
    stride: Literal[1, 2] = 2
    """Labels are compared at every pixel or, four times cheaper, at one of each 2 x 2."""


class SceneConfig(Schedule):
    """A driving-scene run on a folder of pictures and label pictures."""

    task: Literal["scene"] = "scene"
    dataset: str = "camvid"
    classes: int = Field(default=len(CAMVID_NAMES), ge=2, le=254)
    class_names: tuple[str, ...] = ()
    """By label number; empty = CamVid's for that data set, numbers for others."""
    rare: tuple[int, ...] = (2, 6, 7, 9, 10)
    pasted: tuple[int, ...] = (2, 6, 9, 10)
    """Rare classes that are solid objects; a fence shows what is behind it."""
    size: WidthHeight = (320, 256)
    cooldown_size: WidthHeight = (480, 352)
    validation_size: WidthHeight = (480, 360)
    augment: SceneAugment = SceneAugment()
    cooldown_augment: SceneAugment = SceneAugment(scale=(0.75, 1.75), aim=0.25)
    loss: SceneLoss = SceneLoss()

    @model_validator(mode="after")
    def _classes_agree(self) -> SceneConfig:
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(
                f"class_names has {len(self.class_names)} names, classes is {self.classes}"
            )
        foreign = [i for i in self.rare if not 0 <= i < self.classes]
        if foreign:
            raise ValueError(f"rare: {foreign[0]}, expected 0 to {self.classes - 1}")
        stray = [i for i in self.pasted if i not in self.rare]
        if stray:
            raise ValueError(f"pasted: {stray[0]} is not among rare {list(self.rare)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each class."""
        if self.class_names:
            return self.class_names
        if self.dataset == "camvid" and self.classes == len(CAMVID_NAMES):
            return CAMVID_NAMES
        return tuple(f"class {i}" for i in range(self.classes))

    @property
    def sizes_met(self) -> tuple[WidthHeight, ...]:
        """Crops and whole pictures."""
        return tuple(sorted({self.size, self.cooldown_size, self.validation_size}))

    @property
    def score_names(self) -> dict[str, str]:
        """Columns of a scene's log are numbered."""
        return {f"class_{i}": name for i, name in enumerate(self.names)}


class InstanceAugment(_Frozen):
    """Views of a picture and what is pasted into it."""

    scale: Range = (0.5, 1.25)
    """Side of the part seen against the picture's, log-uniform: below 1 zooms in."""
    aspect: Range = (0.6, 1.5)
    """Width against height of the part seen, relative to the picture's."""
    paste: Share = 0.5
    most_pasted: int = Field(default=4, ge=1, le=50)
    photo: PhotoConfig = PhotoConfig()


class InstanceLoss(_Frozen):
    """Weights of YOLACT's terms (Bolya et al. 2019, sec. 3.4, and yolact `config.py`)."""

    classes: Weight = 1.0
    box: Weight = 1.5
    mask: Weight = 6.125
    semantic: Weight = 1.0
    most_masks: int = Field(default=60, ge=1)
    """Positive anchors per picture whose masks are compared; the others count as their mean."""


class InstanceConfig(Schedule):
    """An instance run: people and cars from several sources, some only partly labelled."""

    task: Literal["instance"] = "instance"
    classes: tuple[str, ...] = ("person", "car")
    similar: tuple[str, ...] = ("truck", "bus")
    """Categories that are neither objects nor background."""
    mixture: dict[str, Weight] = Field(min_length=1)
    pasted_people: tuple[str, ...] = ("ccp", "vik", "celeb", "meow")
    """Sources of portrait/ whose people are cut out."""
    portraits: tuple[str, ...] = ("celeb", "ccp", "meow")
    """Sources of portrait/ with one person a picture, which are seen whole."""
    size: WidthHeight = (320, 256)
    cooldown_size: WidthHeight = (416, 320)
    validation_size: WidthHeight = (416, 320)
    chosen_by: tuple[str, ...] = ("pennfudan_person", "carparts_derived_car")
    augment: InstanceAugment = InstanceAugment()
    loss: InstanceLoss = InstanceLoss()

    @property
    def sizes_met(self) -> tuple[WidthHeight, ...]:
        """Training and whole pictures."""
        return tuple(sorted({self.size, self.cooldown_size, self.validation_size}))


TrainConfig = PortraitConfig | SceneConfig | InstanceConfig
CONFIGS: dict[str, type[TrainConfig]] = {
    "portrait": PortraitConfig,
    "scene": SceneConfig,
    "instance": InstanceConfig,
}
"""The settings of each task."""


def parse_config(values: dict[str, Any], *, where: str = "configuration") -> TrainConfig:
    """The validated settings in `values`; without `task` they are a portrait run's.

    Raises: ConfigError listing every problem with its path.
    """
    task = values.get("task", "portrait")
    if task not in CONFIGS:
        known = list(CONFIGS)
        hint = near_match(str(task), known)
        raise ConfigError(f"{where}: task: expected {' or '.join(known)}, got {task!r}{hint}")
    kind = CONFIGS[task]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe_validation(error, kind)}") from error


def load_config(path: Path, changes: list[str] | None = None) -> TrainConfig:
    """The settings of the YAML file at `path`, with `changes` such as `loss.lovasz=0.5` made.

    Raises: ConfigError for a file that cannot be read and for every unknown or wrong setting.
    """
    values = load_yaml(path)
    for change in changes or []:
        keys, value = parse_assignment(change)
        assign(values, keys, value, where=f"--set {change}")
    return parse_config(values, where=str(path))
