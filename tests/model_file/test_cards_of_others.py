"""The cards of public models: each describes the interface that its exporter gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.assets import configs_dir
from edgeseg.model_file import mismatches
from edgeseg.protocols import TensorInfo
from edgeseg.spec import ModelSpec

CARDS = sorted((configs_dir() / "cards").glob("*.yaml"))


def info(name: str, *shape: int | None, dtype: str = "float32") -> TensorInfo:
    return TensorInfo(name, shape, dtype)


OUTPUTS = {
    "yolo11n-seg": [info("output0", 1, 116, 8400), info("output1", 1, 32, 160, 160)],
    "maskrcnn_resnet50_fpn": [
        info("boxes", None, 4),
        info("labels", None, dtype="int64"),
        info("scores", None),
        info("masks", None, 1, 480, 640),
    ],
    "deeplabv3_mobilenet_v3_large": [info("scores", 1, 21, 520, 520)],
    "twinlitenet": [info("da", 1, 2, 360, 640), info("ll", 1, 2, 360, 640)],
}


@pytest.mark.parametrize("path", CARDS, ids=[card.stem for card in CARDS])
def test_every_card_loads_and_is_listed(path: Path) -> None:
    spec = ModelSpec.from_card(path)
    assert spec.licence != "not stated"
    assert f"`{path.name}`" in (path.parent / "README.md").read_text(encoding="utf-8")
    if path.stem in OUTPUTS:
        image = info("images", *spec.input.shape)
        assert mismatches(spec, [image], OUTPUTS[path.stem]) == []


def test_cards_of_scenes_and_objects_are_there() -> None:
    assert set(OUTPUTS) <= {card.stem for card in CARDS}


def test_class_numbers_are_those_of_coco() -> None:
    ultralytics, torchvision = (
        ModelSpec.from_card(configs_dir() / "cards" / f"{name}.yaml")
        for name in ("yolo11n-seg", "maskrcnn_resnet50_fpn")
    )
    assert (ultralytics.classes[0], ultralytics.classes[79]) == ("person", "toothbrush")
    assert (torchvision.classes[1], torchvision.classes[18], torchvision.classes[90]) == (
        "person",
        "dog",
        "toothbrush",
    )
    assert len(torchvision.classes) == 91
    assert set(torchvision.classes) - {"background", "unused"} == set(ultralytics.classes)
