"""Teachers: the mean of their maps, at the student's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import torch
from torch import nn

from edgeseg.models.export import Deployed, write_model
from edgeseg.spec import InputSpec, ModelSpec, OutputSpec
from edgeseg.training.portrait.teacher import Ensemble
from edgeseg.types import Size


def constant(logit: float) -> nn.Module:
    """A network that gives the same logit everywhere, at stride 2."""
    conv = nn.Conv2d(3, 1, 1, stride=2)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.bias, logit)
    return nn.Sequential(conv)


def test_teachers_are_averaged_at_the_students_size(tmp_path: Path) -> None:
    for name, logit, side in (("a", 2.0, 8), ("b", -2.0, 16)):
        spec = ModelSpec(
            name=name,
            input=InputSpec(name="image", size=Size(side, side)),
            outputs=(OutputSpec(name="person"),),
        )
        write_model(Deployed(constant(logit)), spec, tmp_path / f"{name}.onnx")
    images = torch.zeros((3, 12, 12, 3), dtype=torch.uint8)
    soft = Ensemble([tmp_path / "a.onnx", tmp_path / "b.onnx"])(images)
    assert soft.shape == (3, 1, 12, 12)
    assert np.allclose(soft.numpy(), 0.5, atol=1e-6)
