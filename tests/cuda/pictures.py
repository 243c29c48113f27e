"""Pictures and recipes for tests of the kernels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.assemble import open_source
from edgeseg.config import SourceConfig
from edgeseg.cuda.recipes import input_recipe
from edgeseg.ops.image import fit
from edgeseg.spec import InputSpec
from edgeseg.types import BT601, ColorSpace, Frame, Planes, Size


@lru_cache(maxsize=8)
def drawn(scene: str, size: Size) -> Frame:
    """The first picture of a synthetic scene."""
    source = open_source(SourceConfig(uri=f"synthetic://{scene}?size={size}&frames=1"))
    try:
        frame = source.read()
    finally:
        source.close()
    assert frame is not None
    return frame


def noise(size: Size, seed: int = 0) -> Planes:
    """Planes of independent random bytes: whatever is read wrongly shows."""
    rng = np.random.default_rng(seed)
    sides = (size, size.chroma, size.chroma)
    return Planes(*(rng.integers(0, 256, (s.height, s.width), dtype=np.uint8) for s in sides))


def packed(planes: Planes) -> NDArray[np.uint8]:
    """Planes one after another, as they are uploaded."""
    return np.concatenate([plane.ravel() for plane in (planes.y, planes.u, planes.v)])


def recipe_for(
    size: Size, spec: InputSpec, color: ColorSpace = BT601, dtype: str | None = None
) -> np.void:
    return input_recipe(fit(size, spec), color, spec, dtype or spec.dtype)


def input_spec(size: tuple[int, int], **changes: Any) -> InputSpec:
    return InputSpec(name="image", size=Size(*size), **changes)
