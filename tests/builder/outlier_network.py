"""A network that INT8 breaks, and pictures to show it: one large channel spoils a small one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import GAIN, SIZE, embed, save, spec_for


def outlier_model(path: Path) -> Path:
    """Writes a network in which a bright pixel is a person, beside a channel 400 times larger.

    One INT8 step for both is larger than all of what counts; "last" in floating point mends it.
    """
    weights = {
        "much": np.full((1, 3, 1, 1), 40 / 3, np.float32),
        "grey": np.full((1, 3, 1, 1), GAIN / 3, np.float32),
        "offset": np.array([-GAIN * 127.5], np.float32),
        "mix": np.array([1e-6, 1], np.float32).reshape(1, 2, 1, 1),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planar", "much"], ["large"], name="large"),
        helper.make_node("Conv", ["planar", "grey", "offset"], ["small"], name="small"),
        helper.make_node("Concat", ["large", "small"], ["both"], axis=1, name="both"),
        helper.make_node("Conv", ["both", "mix"], ["logit"], name="last"),
        helper.make_node("Sigmoid", ["logit"], ["person"]),
    ]
    image = helper.make_tensor_value_info(
        "image", TensorProto.UINT8, [1, SIZE.height, SIZE.width, 3]
    )
    person = helper.make_tensor_value_info(
        "person", TensorProto.FLOAT, [1, 1, SIZE.height, SIZE.width]
    )
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "outlier", [image], [person], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return save(path, embed(model, spec_for()))


def bright_people(folder: Path, *, seed: int, count: int = 12) -> Path:
    """Pictures of noise with a brighter box each, and masks of the boxes."""
    chance = np.random.default_rng(seed)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for n in range(count):
        image = chance.integers(60, 110, (SIZE.height, SIZE.width), dtype=np.uint8)
        mask = np.zeros_like(image)
        left, top = chance.integers(0, 12, 2)
        mask[top : top + 10, left : left + 14] = 1
        image[mask == 1] = chance.integers(150, 200, int(mask.sum()))
        for kind, pixels in (("images", image), ("masks", mask)):
            assert cv2.imwrite(str(folder / kind / f"{n:02d}.png"), pixels)
    return folder
