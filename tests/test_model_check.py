from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_onnx import embed, network, save, spec_for, tiny_model

from edgeseg.errors import ModelError
from edgeseg.model_check import check_model, drawn_frames, judge_scores
from edgeseg.model_file import load_model
from edgeseg.spec import ModelSpec, OutputSpec


def output(**changes: Any) -> ModelSpec:
    return spec_for(outputs=(OutputSpec(name="person", **changes),))


def test_a_right_model_passes(tmp_path: Path) -> None:
    found = check_model(str(tiny_model(tmp_path / "tiny.onnx", "pair")))
    assert found.problems == []
    assert found.card is None
    assert found.passed[0].startswith("ONNX, opset 13, ")
    assert "the recipe matches the graph" in found.passed[1]
    assert found.passed[2] == "runs on onnxruntime cpu"
    assert found.passed[3].startswith("person probability 0.")


def test_shipped_models_pass_by_name() -> None:
    assert check_model("portrait").problems == []


@pytest.mark.parametrize(
    ("head", "layout", "dtype", "activation"),
    [
        ("probability", "nchw", "float32", "none"),
        ("logit", "nhwc", "uint8", "sigmoid"),
        ("pair", "nchw", "float32", "softmax"),
    ],
)
def test_a_foreign_file_gets_a_card_that_works(
    tmp_path: Path, head: str, layout: str, dtype: str, activation: str
) -> None:
    path = save(tmp_path / "foreign.onnx", network(head, layout=layout, dtype=dtype))
    found = check_model(str(path))
    assert found.problems == ["no recipe: neither in the file nor as foreign.yaml"]
    assert found.card is not None
    path.with_suffix(".yaml").write_text(found.card, encoding="utf-8")
    assert load_model(path).spec.outputs[0].activation == activation


def test_a_card_that_does_not_match_is_named_and_a_fitting_one_given(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", network("pair"), spec_for("probability"))
    found = check_model(str(path))
    assert found.problems == [
        "output 'person' has 2 channels in layout nchw (1x2x24x32): "
        "channel must say which one is the person"
    ]
    assert found.card is not None
    assert yaml.safe_load(found.card)["outputs"][0]["activation"] == "softmax"


def test_a_malformed_card_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", network())
    path.with_suffix(".yaml").write_text("input: [", encoding="utf-8")
    (problem,) = check_model(str(path)).problems
    assert "net.yaml: not a readable YAML card" in problem


def test_what_does_not_load_is_a_finding(tmp_path: Path) -> None:
    model = network()
    model.graph.node[1].op_type = "NoSuchOperator"
    (problem,) = check_model(str(save(tmp_path / "op.onnx", model, spec_for()))).problems
    assert "NoSuchOperator" in problem
    found = check_model(str(save(tmp_path / "bare.onnx", model)))
    assert found.card is not None
    assert "activation: sigmoid    # none where the graph ends in probabilities" in found.card


def test_what_is_no_onnx_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("hello")
    with pytest.raises(ModelError, match=r"text\.onnx: not an ONNX model, or damaged"):
        check_model(str(path))


@pytest.mark.parametrize(
    ("values", "spec", "problem"),
    [
        ([0.0, 0.2, 1.004], output(), None),
        ([-4.0, 3.0], output(activation="sigmoid"), None),
        (
            [-4.0, 3.0],
            output(),
            "ranges over -4..3, which are no probabilities: outputs.activation should be sigmoid",
        ),
        (
            [0.0, 0.9],
            output(activation="sigmoid"),
            "already lies in 0..1 (0..0.9): outputs.activation should be none, not sigmoid",
        ),
        ([0.3, 0.3], output(), "is 0.3 everywhere, whatever the picture shows"),
        ([0.3, np.nan], output(), "holds NaN or infinity: are mean and std right?"),
    ],
)
def test_scores_are_judged(values: list[float], spec: ModelSpec, problem: str | None) -> None:
    raw = np.array(values, np.float32).reshape(1, 1, 1, -1)
    expected = [] if problem is None else [f"output 'person' {problem}"]
    assert judge_scores(spec, [raw]) == expected


def test_two_channels_out_of_range_want_softmax() -> None:
    raw = np.array([[-3, 4], [2, -5]], np.float32).reshape(1, 2, 1, 2)
    (problem,) = judge_scores(output(channel=1), [raw])
    assert problem.endswith("outputs.activation should be softmax")


def test_an_activation_applied_twice_is_found_by_running(tmp_path: Path) -> None:
    wrong = spec_for(
        outputs=(OutputSpec(name="person", activation="sigmoid"),),
    )
    path = save(tmp_path / "twice.onnx", embed(network("probability"), wrong))
    (problem,) = check_model(str(path)).problems
    assert problem.endswith("outputs.activation should be none, not sigmoid")


def test_the_drawn_pictures_differ() -> None:
    figure, wall, noise = (frame.planes.y for frame in drawn_frames())
    assert not np.array_equal(figure, wall)
    assert noise.std() > 2 * wall.std() / 2 > 0
