"""A threshold that a model would ignore is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_tasks import boxes_model, colors_model

from edgeseg.errors import ConfigError
from edgeseg.model_file import load_model
from edgeseg.segment import check_thresholds
from edgeseg.spec import ModelSpec
from edgeseg.types import Size

SIZE = Size(16, 8)


@pytest.fixture
def semantic(tmp_path: Path) -> ModelSpec:
    return load_model(str(colors_model(tmp_path / "colors.onnx", size=SIZE))).spec


@pytest.fixture
def objects(tmp_path: Path) -> ModelSpec:
    found = [(0, 0.9, (0.0, 0.0, 0.5, 0.5))]
    path = boxes_model(tmp_path / "boxes.onnx", size=SIZE, classes=("person", "car"), found=found)
    return load_model(str(path)).spec


def test_the_likeliest_class_has_no_threshold(semantic: ModelSpec) -> None:
    check_thresholds(semantic, threshold=None, score=None)
    with pytest.raises(ConfigError, match=r"model\.threshold: colors takes the likeliest class"):
        check_thresholds(semantic, threshold=0.5, score=None)
    with pytest.raises(ConfigError, match=r"^--score: colors classifies pixels, it does not find"):
        check_thresholds(semantic, threshold=None, score=0.5, names=("--threshold", "--score"))


def test_objects_and_people_have(objects: ModelSpec) -> None:
    check_thresholds(objects, threshold=0.4, score=0.5)
    portrait = load_model("portrait").spec
    check_thresholds(portrait, threshold=0.4, score=None)
    with pytest.raises(ConfigError, match=r"model\.score: portrait.* classifies pixels"):
        check_thresholds(portrait, threshold=None, score=0.4)
