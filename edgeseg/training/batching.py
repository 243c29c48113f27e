"""Order of samples; pictures and targets on the device that computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def to_input(images: NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """RGB uint8 [N, H, W, 3] as float [-1, 1] [N, 3, H, W] in channels-last memory.

    The bytes travel to `device`, the floats are made there.
    """
    pixels = torch.from_numpy(images).to(device or "cpu")
    return pixels.permute(0, 3, 1, 2).float().mul_(2.0 / 255.0).sub_(1.0)


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of `network` lie; the CPU for one without any."""
    first = next(network.parameters(), None)
    return torch.device("cpu" if first is None else first.device)


def on_device(targets: Any, device: torch.device) -> Any:
    """`targets` with every tensor in it, at any depth of lists, tuples and dataclasses, moved."""
    if isinstance(targets, Tensor):
        return targets.to(device, non_blocking=True)
    if isinstance(targets, tuple) and hasattr(targets, "_fields"):
        return type(targets)(*(on_device(item, device) for item in targets))
    if isinstance(targets, list | tuple):
        return type(targets)(on_device(item, device) for item in targets)
    if dataclasses.is_dataclass(targets) and not isinstance(targets, type):
        moved = {f.name: on_device(getattr(targets, f.name), device) for f in fields(targets)}
        return dataclasses.replace(targets, **moved)
    return targets


def shuffled_batches(
    items: int, samples: int, batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Batches of indices below `items` until `samples` are drawn, each as often as any other."""
    order: list[int] = []
    for _ in range(samples // batch_size):
        while len(order) < batch_size:
            order += rng.permutation(items).tolist()
        yield order[:batch_size]
        order = order[batch_size:]


def balanced_order(mixture: Mapping[str, float], count: int, rng: np.random.Generator) -> list[str]:
    """`count` names in random order, each as often as its share of `mixture` says."""
    names = sorted(mixture)
    shares = np.array([mixture[name] for name in names], np.float64)
    shares = shares / shares.sum() * count
    quota = np.floor(shares).astype(int)
    short = count - int(quota.sum())
    quota[np.argsort(quota - shares, kind="stable")[:short]] += 1
    order = [name for name, n in zip(names, quota, strict=True) for _ in range(n)]
    return [order[i] for i in rng.permutation(count)]


def in_batches(items: list[str], batch_size: int) -> Iterator[list[str]]:
    """Consecutive full batches of `items`; a shorter rest is dropped."""
    for start in range(0, len(items) - batch_size + 1, batch_size):
        yield items[start : start + batch_size]
