"""The driving-scene task: crops of labelled pictures, class logits, mean IoU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseg.ops.metrics import confusion_counts, iou_per_class, mean_iou
from edgeseg.training.batching import device_of, shuffled_batches, to_input
from edgeseg.training.config import SceneConfig
from edgeseg.training.scene.augment import scene_sample
from edgeseg.training.scene.datasets import Scene, SceneBank, class_pixels, load_scenes
from edgeseg.training.scene.losses import class_weights, scene_loss
from edgeseg.types import Size

logger = logging.getLogger(__name__)


class SceneTargets(NamedTuple):
    """labels: uint8 [N, H, W]. phase: which pixel of each 2 x 2 the loss looks at, 0 to 3."""

    labels: Tensor
    phase: int


class SceneTask:
    """Training pictures, validation pictures and the loss between them."""

    def __init__(self, config: SceneConfig, train: list[Scene], val: list[Scene]) -> None:
        self.config = config
        self.bank = SceneBank(train, config.rare)
        self.val = val
        pixels = torch.from_numpy(class_pixels(train, config.classes))
        self.weights = class_weights(pixels, config.loss.weight_power)
        for name, count in zip(config.names, pixels.tolist(), strict=True):
            if not count:
                logger.warning("no training picture shows %s: it will not be learnt", name)

    @classmethod
    def load(cls, config: SceneConfig, data: Path) -> SceneTask:
        """The task on `<data>/<dataset>/train` and `val`, every file of which was checked.

        Raises: ConfigError naming what is missing or wrong.
        """
        folder = data / config.dataset
        return cls(
            config,
            load_scenes(folder / "train", config.classes),
            load_scenes(folder / "val", config.classes),
        )

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, SceneTargets]]:
        """Images uint8 [N, H, W, 3] and their labels, of one epoch."""
        config = self.config
        rng = np.random.default_rng([config.seed, epoch])
        cooling = config.cooling(epoch)
        size = Size(*(config.cooldown_size if cooling else config.size))
        augment = config.cooldown_augment if cooling else config.augment
        scenes = self.bank.scenes
        for chosen in shuffled_batches(
            len(scenes), config.samples_per_epoch, config.batch_size, rng
        ):
            pairs = [
                scene_sample(scenes[i], self.bank, size, rng, augment, pasted=config.pasted)
                for i in chosen
            ]
            phase = int(rng.integers(4))
            images, labels = (torch.from_numpy(np.stack(p)) for p in zip(*pairs, strict=True))
            yield images, SceneTargets(labels, phase)

    def loss(self, outputs: list[Tensor], targets: SceneTargets, images: Tensor) -> Tensor:
        """`scene_loss` with this data's class weights."""
        weights = self.weights.to(outputs[0].device)
        return scene_loss(outputs, targets.labels, weights, self.config.loss, phase=targets.phase)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean IoU at the labels' own resolution, then the IoU of each class."""
        size = Size(*self.config.validation_size)
        counts = np.zeros((self.config.classes, self.config.classes), np.int64)
        for scene in self.val:
            counts += confusion_counts(
                predicted_labels(network, scene.image, size), scene.labels, self.config.classes
            )
        each = {f"class_{i}": float(v) for i, v in enumerate(iou_per_class(counts))}
        return {"miou": mean_iou(counts)} | each


def predicted_labels(network: nn.Module, image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Label of each pixel of `image` [H, W, 3], seen by the network at `size`."""
    small = image
    if image.shape[:2] != (size.height, size.width):
        small = cv2.resize(src=image, dsize=size, interpolation=cv2.INTER_LINEAR)
    with torch.inference_mode():
        logits: list[Tensor] = network(to_input(small[None], device_of(network)))
        whole = F.interpolate(logits[0], image.shape[:2], mode="bilinear", align_corners=False)
    return np.asarray(whole[0].argmax(dim=0).cpu().numpy(), np.uint8)
