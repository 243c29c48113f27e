"""Training, read top to bottom: schedule, averaged weights, one epoch, checkpoint, run.

Everything random in epoch e comes from the seed (seed, e), so a run resumed from its last
checkpoint continues bit for bit as if it had not stopped.
"""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgeseg.training.augment import training_sample
from edgeseg.training.config import TrainConfig
from edgeseg.training.datasets import Sample, SampleBank, balanced_sources, batches
from edgeseg.training.evaluation import Scores, evaluate, to_input, torch_predictor
from edgeseg.training.losses import segmentation_loss

Teacher = Callable[[Tensor], Tensor]
Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done in this epoch, steps per epoch, loss)."""


def learning_rate_factor(epoch: float, config: TrainConfig) -> float:
    """Trapezoid: linear warm-up, constant, linear cool-down; `epoch` counts from 0, with fraction.

    The constant part makes the length of a run a late decision: resume any checkpoint with other
    `epochs` and `cooldown_epochs` to finish it.
    """
    rise = epoch / config.warmup_epochs if config.warmup_epochs else 1.0
    fall = (config.epochs - epoch) / config.cooldown_epochs if config.cooldown_epochs else 1.0
    return float(np.clip(min(rise, fall), 0.0, 1.0))


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; the backbone learns slower, norms and biases do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        scale = config.backbone_scale if name.startswith("backbone.") else 1.0
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((scale, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "scale": scale, "weight_decay": decay}
            for (scale, decay), parameters in groups.items()
        ],
        lr=config.learning_rate,
    )


class AveragedWeights:
    """Exponential moving average of a network's state, faster in its first steps."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the present weights of `network`."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        own = self.network.state_dict()
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                own[key].lerp_(value, 1.0 - decay)
            else:
                own[key].copy_(value)


@dataclass
class Run:
    """The state of a training run; `epoch` epochs are done."""

    config: TrainConfig
    network: nn.Module
    averaged: AveragedWeights
    optimizer: torch.optim.AdamW
    epoch: int = 0
    best: float = -1.0

    @classmethod
    def start(cls, network: nn.Module, config: TrainConfig) -> Run:
        """A run at epoch 0 with the present weights of `network`."""
        network.to(memory_format=torch.channels_last)
        averaged = AveragedWeights(network, config.ema_decay)
        return cls(config, network, averaged, make_optimizer(network, config))

    def save(self, path: Path) -> None:
        """Write everything needed to resume, replacing `path` in one step."""
        state = {
            "config": self.config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "averaged": self.averaged.network.state_dict(),
            "averaged_steps": self.averaged.steps,
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Continue from a file of `save`; the configuration stays this run's own."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.network.load_state_dict(state["averaged"])
        self.averaged.steps = state["averaged_steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.best = state["best"]


def training_batches(
    bank: SampleBank, config: TrainConfig, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images uint8 [N, S, S, 3] and masks uint8 [N, S, S] of one epoch, S varying by batch."""
    rng = np.random.default_rng([config.seed, epoch])
    order = balanced_sources(config.mixture, config.samples_per_epoch, rng)
    cooling = epoch >= config.epochs - config.cooldown_epochs
    sizes = config.cooldown_sizes if cooling else config.sizes
    augment = config.cooldown_augment if cooling else config.augment
    for names in batches(order, config.batch_size):
        size = int(rng.choice(sizes))
        pairs = [training_sample(name, bank, size, rng, augment) for name in names]
        images, masks = zip(*pairs, strict=True)
        yield torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))


def train_epoch(
    run: Run, bank: SampleBank, *, teacher: Teacher | None = None, progress: Progress | None = None
) -> float:
    """One pass over the mixture; returns the mean loss."""
    config = run.config
    steps = config.samples_per_epoch // config.batch_size
    losses = []
    run.network.train()
    for step, (images, masks) in enumerate(training_batches(bank, config, run.epoch)):
        factor = learning_rate_factor(run.epoch + step / steps, config)
        for group in run.optimizer.param_groups:
            group["lr"] = config.learning_rate * group["scale"] * factor
        soft = teacher(images) if teacher else None
        logits = run.network(to_input(images.numpy()))
        loss = segmentation_loss(logits, masks, config.loss, soft)
        run.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(run.network.parameters(), config.clip_norm)
        run.optimizer.step()
        run.averaged.update(run.network)
        losses.append(float(loss.detach()))
        if progress:
            progress(step + 1, steps, losses[-1])
    run.epoch += 1
    return float(np.mean(losses))


def log_epoch(path: Path, epoch: int, loss: float, scores: Scores) -> None:
    """Append one line to the CSV at `path`, with a heading if it is new."""
    row = {"epoch": epoch, "loss": round(loss, 5), "macro_iou": round(scores.macro_iou, 5)}
    row |= {source: round(value, 5) for source, value in scores.iou.items()}
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def train(
    run: Run,
    bank: SampleBank,
    validation: list[Sample],
    folder: Path,
    *,
    stop_after: int | None = None,
    teacher: Teacher | None = None,
    progress: Progress | None = None,
) -> Scores | None:
    """Train to the last epoch, or to `stop_after`; `folder` gets `last.pt`, `best.pt`, `log.csv`.

    Returns the scores of the averaged weights after the last epoch, None if nothing was left to do.
    """
    scores = None
    end = run.config.epochs if stop_after is None else min(stop_after, run.config.epochs)
    while run.epoch < end:
        loss = train_epoch(run, bank, teacher=teacher, progress=progress)
        predict = torch_predictor(run.averaged.network, run.config.validation_size)
        scores = evaluate(predict, validation)
        log_epoch(folder / "log.csv", run.epoch, loss, scores)
        improved = scores.macro_iou > run.best
        run.best = max(run.best, scores.macro_iou)
        run.save(folder / "last.pt")
        if improved:
            run.save(folder / "best.pt")
    return scores
