"""Training, read top to bottom: schedule, averaged weights, one epoch, checkpoint, run.

Everything random in epoch e comes from the seed (seed, e), so a run resumed from its last
checkpoint continues bit for bit as if it had not stopped.
"""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeseg.errors import ConfigError, EdgesegError
from edgeseg.training.batching import device_of, on_device, to_input
from edgeseg.training.config import Schedule
from edgeseg.training.task import Task

Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done in this epoch, steps per epoch, loss)."""
Scored = Callable[[int, float, dict[str, float]], None]
"""Called after each epoch with (epochs done, mean loss, scores; empty when not validated)."""
_UNREADABLE = (
    RuntimeError, TypeError, ValueError, LookupError, EOFError, OSError, UnpicklingError,
)  # fmt: skip


def learning_rate_factor(epoch: float, config: Schedule) -> float:
    """Trapezoid: linear warm-up, constant, linear cool-down; `epoch` counts from 0, with fraction.

    The constant part makes the length of a run a late decision: resume any checkpoint with other
    `epochs` and `cooldown_epochs` to finish it.
    """
    rise = epoch / config.warmup_epochs if config.warmup_epochs else 1.0
    fall = (config.epochs - epoch) / config.cooldown_epochs if config.cooldown_epochs else 1.0
    return float(np.clip(min(rise, fall), 0.0, 1.0))


def make_optimizer(network: nn.Module, config: Schedule) -> torch.optim.AdamW:
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

    config: Schedule
    network: nn.Module
    averaged: AveragedWeights
    optimizer: torch.optim.AdamW
    epoch: int = 0
    best: float = -1.0

    @classmethod
    def start(cls, network: nn.Module, config: Schedule, device: torch.device | None = None) -> Run:
        """A run at epoch 0 with the present weights of `network`, which moves to `device`."""
        network.to(device=device or torch.device("cpu"), memory_format=torch.channels_last)
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
        """Continue from a file of `save`; the configuration stays this run's own.

        Raises: ConfigError when `path` is not a checkpoint of this network.
        """
        state = read_checkpoint(path)
        arch = state["config"]["arch"]
        if arch != self.config.arch:
            raise ConfigError(
                f"{path}: a run of {arch!r}, the configuration asks for {self.config.arch!r}; "
                "choose another folder"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.network.load_state_dict(state["averaged"])
            self.averaged.steps = state["averaged_steps"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.epoch, self.best = state["epoch"], state["best"]
        except _UNREADABLE as error:
            raise ConfigError(
                f"{path}: its weights are not those of {arch!r} as it is now: "
                f"{str(error).splitlines()[-1].strip()}"
            ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `Run.save` wrote to `path`, tensors and plain values only.

    Raises: ConfigError when it is not that.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        complete = {"network", "averaged"} <= set(state) and bool(state["config"]["arch"])
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: not a checkpoint of a training run") from error
    if not complete:
        raise ConfigError(f"{path}: not a whole checkpoint of a training run")
    return state


@contextmanager
def seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Inside, PyTorch's random numbers (dropout) depend on `seed` and `epoch` alone."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        yield


def train_epoch(run: Run, task: Task, *, progress: Progress | None = None) -> float:
    """One pass over the task's samples; returns the mean loss.

    Raises: EdgesegError when the loss is no longer a number.
    """
    config = run.config
    steps = config.samples_per_epoch // config.batch_size
    losses = []
    run.network.train()
    with seeded(config.seed, run.epoch, device_of(run.network)):
        for step, (images, targets) in enumerate(task.batches(run.epoch)):
            factor = learning_rate_factor(run.epoch + step / steps, config)
            for group in run.optimizer.param_groups:
                group["lr"] = config.learning_rate * group["scale"] * factor
            losses.append(_step(run, task, images, targets))
            if not math.isfinite(losses[-1]):
                raise EdgesegError(
                    f"the loss is {losses[-1]} in step {step + 1} of epoch {run.epoch + 1}; go on "
                    "from last.pt with a lower learning_rate, or with bfloat16=false"
                )
            if progress:
                progress(step + 1, steps, losses[-1])
    run.epoch += 1
    return float(np.mean(losses))


def _step(run: Run, task: Task, images: Tensor, targets: Any) -> float:
    """One update of the weights; returns the loss of the batch."""
    device = device_of(run.network)
    with torch.autocast(device.type, torch.bfloat16, enabled=run.config.bfloat16):
        outputs = run.network(to_input(images.numpy(), device))
    loss = task.loss(outputs, on_device(targets, device), images)
    run.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), run.config.clip_norm)
    run.optimizer.step()
    run.averaged.update(run.network)
    return float(loss.detach())


def log_epoch(path: Path, epoch: int, loss: float, scores: dict[str, float]) -> None:
    """Append one line to the CSV at `path`, with a heading if it is new."""
    row: dict[str, float] = {"epoch": epoch, "loss": round(loss, 5)}
    row |= {name: round(value, 5) for name, value in scores.items()}
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def train(
    run: Run,
    task: Task,
    folder: Path,
    *,
    stop_after: int | None = None,
    progress: Progress | None = None,
    scored: Scored | None = None,
) -> dict[str, float]:
    """Train to the last epoch, or to `stop_after`; `folder` gets `last.pt`, `best.pt`, `log.csv`.

    Returns the last scores of the averaged weights, empty if nothing was left to do.
    """
    scores: dict[str, float] = {}
    end = run.config.epochs if stop_after is None else min(stop_after, run.config.epochs)
    while run.epoch < end:
        loss = train_epoch(run, task, progress=progress)
        improved, scores = False, {}
        if run.epoch % run.config.validate_every == 0 or run.epoch == end:
            scores = task.validate(run.averaged.network)
            log_epoch(folder / "log.csv", run.epoch, loss, scores)
            score = next(iter(scores.values()))
            improved = score > run.best
            run.best = max(run.best, score)
        run.save(folder / "last.pt")
        if improved:
            run.save(folder / "best.pt")
        if scored:
            scored(run.epoch, loss, scores)
    return scores
