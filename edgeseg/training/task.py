"""What the loop needs to know of a task: its samples, its loss, its score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn


class Task(Protocol):
    """One kind of training. `Targets` are whatever `batches` gives and `loss` takes."""

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Any]]:
        """Images uint8 [N, H, W, 3] and their targets; the same for the same `epoch`."""

    def loss(self, outputs: Any, targets: Any, images: Tensor) -> Tensor:
        """The scalar to minimise for a batch."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Scores of `network`; the first one chooses the best checkpoint, higher is better."""
