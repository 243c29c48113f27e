"""``models check`` on networks of scenes and instances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_heads import Arrays, constant_model, geometry_for, head_spec, perfect_outputs

from edgeseg import frame_from_bgr, open_segmenter
from edgeseg.errors import SpecMismatch
from edgeseg.model_check import check_model, judge_outputs
from edgeseg.model_file import load_model
from edgeseg.ops.labels import label_map
from edgeseg.segment.decoders import DECODERS
from edgeseg.spec import Head
from edgeseg.types import Instances, Rect, Size

RECOGNISED = [head for head in DECODERS if head not in ("person", "binary")]
"""Outputs of a binary head look like a portrait's."""


def arrays(head: Head) -> Arrays:
    return perfect_outputs(head, geometry_for(head_spec(head), Size(96, 64)), Rect(20, 10, 70, 50))


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("semantic", "2 of 3 classes on drawn pictures: background, person"),
        ("labels", "2 of 3 classes on drawn pictures: background, person"),
        ("binary", "2 of 3 classes on drawn pictures: background, person"),
        ("yolact", "1, 1, 1 objects on drawn pictures"),
        ("yolo-seg", "1, 1, 1 objects on drawn pictures"),
        ("maskrcnn", "1, 1, 1 objects on drawn pictures"),
    ],
)
def test_a_right_model_passes_and_runs(tmp_path: Path, head: Head, found: str) -> None:
    path = constant_model(tmp_path / "net.onnx", head_spec(head), arrays(head))
    report = check_model(str(path))
    assert report.problems == []
    assert report.card is None
    assert report.passed[-1] == found
    with open_segmenter(path, threads=1) as segmenter:
        result = segmenter.segment(frame_from_bgr(np.zeros((64, 96, 3), np.uint8)))
    assert label_map(result)[30, 45] == 2


@pytest.mark.parametrize("head", RECOGNISED)
def test_a_file_without_a_card_gets_one_that_runs(tmp_path: Path, head: Head) -> None:
    path = constant_model(tmp_path / "net.onnx", head_spec(head), arrays(head), card=False)
    report = check_model(str(path))
    assert report.problems == ["no recipe: neither in the file nor as net.yaml"]
    assert report.card is not None
    path.with_suffix(".yaml").write_text(report.card, encoding="utf-8")
    loaded = load_model(path)
    assert loaded.spec.outputs_as == head
    if head in ("labels", "maskrcnn"):
        assert len(loaded.spec.classes) == 3  # as many as the numbers that it gave
    with open_segmenter(path, threads=1) as segmenter:
        result = segmenter.segment(frame_from_bgr(np.zeros((64, 96, 3), np.uint8)))
    assert label_map(result)[30, 45] > 0
    if isinstance(result, Instances):
        assert len(result) == 1


def test_classes_that_disagree_with_the_outputs_name_file_and_expectation(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "net.onnx", head_spec("semantic"), arrays("semantic"))
    four = head_spec("semantic", classes=("a", "b", "c", "d"))
    path.with_suffix(".yaml").write_text(four.to_card(), encoding="utf-8")
    with pytest.raises(SpecMismatch) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path.with_suffix('.yaml')}: the recipe does not match net.onnx: ")
    assert "'s' has 3 channels in layout nchw (1x3x16x24), the card names 4 classes" in message
    assert "\n" not in message


def test_labels_beyond_the_classes_are_found_by_running(tmp_path: Path) -> None:
    outputs = arrays("labels")
    outputs["l"] += 5
    path = constant_model(tmp_path / "net.onnx", head_spec("labels"), outputs)
    (problem,) = check_model(str(path)).problems
    assert problem.startswith("output 'l' gave class numbers 5 to 7, the card names 3 classes")


@pytest.mark.parametrize(
    ("head", "name", "value", "problem"),
    [
        ("semantic", "s", 0.25, "output 's' is 0.25 everywhere, whatever the picture shows"),
        ("semantic", "s", np.nan, "output 's' holds NaN or infinity: are mean and std right?"),
        ("yolact", "coef", np.nan, "output 'coef' holds NaN or infinity: are mean and std right?"),
        ("binary", "a", 0.25, "output 'a' is 0.25 everywhere, whatever the picture shows"),
    ],
)
def test_dead_and_damaged_outputs_are_found(
    head: Head, name: str, value: float, problem: str
) -> None:
    outputs = arrays(head)
    outputs[name] = np.full_like(outputs[name], value)
    assert judge_outputs(head_spec(head), [outputs] * 3) == [problem]


def test_scores_of_objects_must_be_probabilities() -> None:
    outputs = arrays("yolact")
    outputs["conf"] = outputs["conf"] * 20 - 10
    (problem,) = judge_outputs(head_spec("yolact"), [outputs] * 3)
    assert "which are no probabilities: outputs.activation should be softmax" in problem
    empty = {name: value[:0] for name, value in arrays("maskrcnn").items()}
    assert judge_outputs(head_spec("maskrcnn"), [empty] * 3) == []
