"""The instance task: pictures of people and cars from several sources, YOLACT's losses, AP50."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edgeseg.models.yolact import Raw, anchors
from edgeseg.training.batching import balanced_order, in_batches
from edgeseg.training.config import InstanceConfig
from edgeseg.training.instance.augment import object_sample
from edgeseg.training.instance.coco import load_objects
from edgeseg.training.instance.evaluation import evaluate
from edgeseg.training.instance.losses import Objects, instance_loss
from edgeseg.training.instance.objects import (
    CutOut,
    ObjectPicture,
    cut_outs,
    load_people,
    load_streets,
    portrait_cut_outs,
)
from edgeseg.types import Size

Sources = dict[str, list[ObjectPicture]]


class InstanceTask:
    """Training pictures by source, objects to paste, validation pictures."""

    def __init__(
        self,
        config: InstanceConfig,
        train: list[ObjectPicture],
        val: list[ObjectPicture],
        things: dict[int, list[CutOut]],
    ) -> None:
        self.config = config
        self.val = val
        self.things = things
        self.sources: Sources = {}
        for picture in train:
            self.sources.setdefault(picture.source, []).append(picture)

    @classmethod
    def load(cls, config: InstanceConfig, data: Path) -> InstanceTask:
        """The task on the folders below `data`."""
        names, similar = config.classes, config.similar
        train = load_objects(data / "instances" / "train", names, similar=similar)
        val = load_objects(data / "instances" / "val", names, similar=similar)
        person = names.index("person")
        loose = [p for p in train if p.source != "coco128"]
        found = cut_outs(loose) + portrait_cut_outs(data, person, sources=config.pasted_people)
        things = {n: [c for c in found if c.number == n] for n in range(len(names))}
        people = load_people(data, person, len(names), sources=config.portraits)
        return cls(config, train + load_streets(data, names) + people, val, things)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, list[Objects]]]:
        """Images uint8 [N, H, W, 3] and the objects of each."""
        config = self.config
        rng = np.random.default_rng([config.seed, epoch])
        size = Size(*(config.cooldown_size if config.cooling(epoch) else config.size))
        order = balanced_order(config.mixture, config.samples_per_epoch, rng)
        for names in in_batches(order, config.batch_size):
            samples = [self._sample(name, size, rng) for name in names]
            images = torch.from_numpy(np.stack([s.image for s in samples]))
            yield images, [truth_of(sample) for sample in samples]

    def _sample(self, source: str, size: Size, rng: np.random.Generator) -> ObjectPicture:
        pictures = self.sources[source]
        picture = pictures[int(rng.integers(len(pictures)))]
        number = int(rng.integers(len(self.config.classes)))
        things = [] if picture.near_only else self.things[number]
        return object_sample(picture, things, size, rng, self.config.augment)

    def loss(self, outputs: Raw, targets: list[Objects], images: Tensor) -> Tensor:
        """`instance_loss` with the anchors of this batch's size."""
        device = outputs.logits.device
        priors = anchors(Size(images.shape[2], images.shape[1])).to(device)
        with device:  # what the loss makes lies there too
            return instance_loss(outputs, targets, priors, self.config.loss)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean of the mask AP50s named in `chosen_by`, then each of them."""
        size = Size(*self.config.validation_size)
        scores = evaluate(network, self.val, self.config.classes, size)
        return {"ap50": float(np.mean([scores[name] for name in self.config.chosen_by]))} | scores


def truth_of(picture: ObjectPicture) -> Objects:
    """The boxes of a sample's objects, around their visible pixels, with everything as tensors."""
    boxes = []
    for k in range(1, len(picture.classes) + 1):
        x, y, w, h = cv2.boundingRect(array=(picture.ids == k).view(np.uint8))
        boxes.append((x, y, x + w, y + h))
    return Objects(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(picture.classes, dtype=torch.int64),
        torch.from_numpy(picture.ids),
        torch.tensor(picture.labelled),
        picture.near_only,
    )
