"""The portrait task: a balanced mixture of sources, one logit, person IoU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgeseg.errors import ConfigError, near_match
from edgeseg.training.batching import balanced_order, in_batches
from edgeseg.training.config import PortraitConfig
from edgeseg.training.portrait.augment import BYSTANDER_SOURCES, SECOND_SOURCES, training_sample
from edgeseg.training.portrait.datasets import (
    NO_PERSON,
    Sample,
    SampleBank,
    load_portraits,
)
from edgeseg.training.portrait.evaluation import evaluate, torch_predictor
from edgeseg.training.portrait.losses import segmentation_loss

Teacher = Callable[[Tensor], Tensor]


class PortraitTask:
    """Training pictures by source, validation pictures, and perhaps a teacher."""

    def __init__(
        self,
        config: PortraitConfig,
        bank: SampleBank,
        val: list[Sample],
        teacher: Teacher | None = None,
    ) -> None:
        self.config = config
        self.bank = bank
        self.val = val
        self.teacher = teacher

    @classmethod
    def load(
        cls, config: PortraitConfig, data: Path, teacher: Teacher | None = None
    ) -> PortraitTask:
        """The task on the folders below `data`, every picture and mask of which was checked.

        Raises: ConfigError naming what is missing or wrong.
        """
        bank = SampleBank.load(data, bystander_share=config.bystander_share)
        check_sources(bank, config)
        return cls(config, bank, load_portraits(data, "val"), teacher)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 [N, S, S, 3] and masks uint8 [N, S, S] of one epoch, S varying by batch."""
        config = self.config
        rng = np.random.default_rng([config.seed, epoch])
        order = balanced_order(config.mixture, config.samples_per_epoch, rng)
        cooling = config.cooling(epoch)
        sizes = config.cooldown_sizes if cooling else config.sizes
        augment = config.cooldown_augment if cooling else config.augment
        for names in in_batches(order, config.batch_size):
            size = int(rng.choice(sizes))
            pairs = [training_sample(name, self.bank, size, rng, augment) for name in names]
            images, masks = zip(*pairs, strict=True)
            yield torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))

    def loss(self, outputs: list[Tensor], targets: Tensor, images: Tensor) -> Tensor:
        """`segmentation_loss`, with the teacher's opinion if there is one."""
        soft = self.teacher(images).to(targets.device) if self.teacher else None
        return segmentation_loss(outputs, targets, self.config.loss, soft)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean of the sources' person IoU, then that of each source."""
        predict = torch_predictor(network, self.config.validation_size)
        scores = evaluate(predict, self.val)
        return {"macro_iou": scores.macro_iou} | scores.iou


def check_sources(bank: SampleBank, config: PortraitConfig) -> None:
    """Make sure that whatever `config` may draw exists in `bank`.

    Raises: ConfigError naming the setting that asks for pictures which are not there.
    """
    known = sorted(bank.by_source)
    for source in config.mixture:
        if source != NO_PERSON and source not in bank.by_source:
            hint = near_match(source, [*known, NO_PERSON])
            raise ConfigError(
                f"mixture.{source}: no training picture of that source; there are "
                f"{', '.join([*known, NO_PERSON])}{hint}"
            )
    if not bank.backgrounds:
        raise ConfigError("no background picture, expected some in instances/train or camvid/train")
    both = (config.augment, config.cooldown_augment)
    asked = {"second_person": SECOND_SOURCES, "bystanders": BYSTANDER_SOURCES}
    for name, sources in asked.items():
        if any(getattr(a, name) for a in both) and not set(sources) & set(known):
            raise ConfigError(
                f"augment.{name}: draws people of {' or '.join(sorted(set(sources)))}, and there "
                "is no training picture of them; set it to 0"
            )
