"""Soft targets from finished models: their mean probability on the student's own pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeseg.models.export import INPUT, OUTPUT, open_session


class Ensemble:
    """Mean person probability of edgeseg ONNX files, each at its own input size."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.sessions = [open_session(str(file)) for file in files]

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 [N, S, S, 3] to float32 [N, 1, S, S]."""
        maps = [self._mean_probability(image) for image in images.numpy()]
        return torch.from_numpy(np.stack(maps)[:, None])

    def _mean_probability(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = image.shape[:2]
        total = np.zeros((height, width), np.float32)
        for session in self.sessions:
            _, high, wide, _ = session.get_inputs()[0].shape
            small = cv2.resize(src=image, dsize=(wide, high), interpolation=cv2.INTER_LINEAR)
            probability = session.run([OUTPUT], {INPUT: small[None]})[0][0, 0]
            total += cv2.resize(
                src=probability, dsize=(width, height), interpolation=cv2.INTER_LINEAR
            )
        return np.asarray(total / len(self.sessions), np.float32)
