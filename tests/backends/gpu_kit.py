"""A GPU backend on a simulated GPU, and pictures for it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from fake_driver import FakeDriver
from ort_network import OrtNetwork

from edgeseg.assemble import open_source
from edgeseg.backends.gpu import GpuBackend
from edgeseg.config import SourceConfig
from edgeseg.model_file import ModelFile, load_model
from edgeseg.ops.planes import from_bgr
from edgeseg.types import ColorSpace, Frame, Size


def drawn(uri: str) -> Frame:
    source = open_source(SourceConfig(uri=uri))
    try:
        frame = source.read()
        assert frame is not None
        return frame
    finally:
        source.close()


def noise(size: Size, *, seed: int = 3, color: ColorSpace = ColorSpace()) -> Frame:  # noqa: B008
    """A picture of smooth random colours."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    bgr = cv2.resize(src=small, dsize=tuple(size), interpolation=cv2.INTER_CUBIC)
    return Frame(from_bgr(bgr).freeze(), 0, 0.0, color=color)


class Opened:
    """A GPU backend with its simulated GPU."""

    def __init__(self, model: ModelFile | str, *, lanes: int = 1, **driver: Any) -> None:
        capturable = driver.pop("capturable", True)
        self.file = load_model(model) if isinstance(model, str) else model
        self.driver = FakeDriver(**driver)
        self.network = OrtNetwork(self.file, capturable=capturable)
        self.backend = GpuBackend(self.file.spec, self.network, self.driver, lanes=lanes)

    def close(self) -> None:
        self.backend.close()
        assert self.driver.leaks == [], self.driver.leaks
        assert self.driver.closed
        assert self.network.gone
