from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.errors import ModelError
from edgeseg.spec import ModelSpec

CARD = """
task: portrait
input: {name: image, size: [256, 144], layout: nhwc}
outputs: [{name: person}]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_a_card_takes_its_name_from_the_file(tmp_path: Path) -> None:
    spec = ModelSpec.from_card(write(tmp_path, CARD))
    assert spec.name == "mine"
    assert spec.input.shape == (1, 144, 256, 3)


def test_json_and_card_round_trips(tmp_path: Path) -> None:
    spec = ModelSpec.from_card(write(tmp_path, CARD))
    assert ModelSpec.from_json(spec.to_json(), where="x") == spec
    assert ModelSpec.from_card(write(tmp_path, spec.to_card())) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("outputs:", "outptus:"), "outptus: unknown key; did you mean 'outputs'"),
        (("input: {name: image,", "input: {"), "input.name: missing"),
        (("layout: nhwc", "layout: nwhc"), "input.layout: should be 'nhwc' or 'nchw', got 'nwhc'"),
        (("[256, 144]", "0x0"), "input.size: expected WIDTHxHEIGHT such as 256x144, got 0"),
        (("{name: person}", "{name: person, layout: x}"), r"^[^;]*outputs.0.layout: [^;]*$"),
        (("[256, 144]", "[256, -1]"), "input.size: width and height must be at least 1"),
        (("layout: nhwc", "mean: [1, 2, 3]"), "input: a uint8 input cannot be normalised"),
        (("layout: nhwc", "dtype: float32, std: [0, 1, 1]"), "std must be positive"),
        (("{name: person}", ""), "outputs: .*at least 1 item"),
        (("task: portrait", "task: portrait\nschema: 9"), "card schema 9, this edgeseg reads 1"),
        (("task: portrait", "task: [a"), "not a readable YAML card"),
    ],
)
def test_a_wrong_card_is_named_with_the_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = write(tmp_path, CARD.replace(*change))
    with pytest.raises(ModelError, match=message) as caught:
        ModelSpec.from_card(path)
    assert str(path) in str(caught.value)


def test_a_card_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a YAML mapping"):
        ModelSpec.from_card(write(tmp_path, "hello"))


def other(head: str, outputs: str, classes: str = "[background, a, b]", task: str = "") -> str:
    task = task or ("instance" if head in ("yolact", "yolo-seg", "maskrcnn") else "semantic")
    return (
        f"task: {task}\nhead: {head}\ninput: {{name: image, size: 64x48}}\n"
        f"outputs: {outputs}\nclasses: {classes}\n"
    )


def test_a_head_with_one_kind_of_output_need_not_name_its_meaning(tmp_path: Path) -> None:
    for head, outputs, meaning in (
        ("semantic", "[{name: x}]", "scores"),
        ("labels", "[{name: x}]", "labels"),
        ("binary", "[{name: x}, {name: y}]", "probability"),
    ):
        spec = ModelSpec.from_card(write(tmp_path, other(head, outputs)))
        assert {output.meaning for output in spec.outputs} == {meaning}
        assert spec.outputs_as == head
        assert ModelSpec.from_card(write(tmp_path, spec.to_card())) == spec
    text = other("semantic", "[{name: x}]").replace("head: semantic\n", "")
    assert ModelSpec.from_card(write(tmp_path, text)).output("scores").name == "x"


def test_objects_have_no_background_in_their_label_set(tmp_path: Path) -> None:
    outputs = "[{name: d, meaning: detections}, {name: p, meaning: prototypes}]"
    card = other("yolo-seg", outputs) + "palette: [[0, 0, 0], [1, 2, 3], [4, 5, 6]]\n"
    labels = ModelSpec.from_card(write(tmp_path, card)).label_set
    assert labels.names == ("a", "b")
    assert labels.colors == ((1, 2, 3), (4, 5, 6))
    plain = ModelSpec.from_card(write(tmp_path, other("yolo-seg", outputs, "[car, person]")))
    assert plain.label_set.names == ("car", "person")
    scene = ModelSpec.from_card(write(tmp_path, other("semantic", "[{name: x}]")))
    assert scene.label_set.names == ("background", "a", "b")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            other("yolact", "[{name: x, meaning: scores}]"),
            "head yolact needs one output each of meaning boxes, scores, coefficients, prototypes; "
            "the card has scores",
        ),
        (
            other("semantic", "[{name: x, meaning: scores}, {name: y, meaning: scores}]"),
            "head semantic needs one output each of meaning scores; the card has scores, scores",
        ),
        (
            other("semantic", "[{name: x, meaning: boxes}]"),
            "needs one output each of meaning scores; the card has boxes",
        ),
        (
            other("yolact", "[{name: x}]", task="semantic"),
            r"head yolact does not belong to task semantic \(its heads: semantic, labels, "
            r"binary\): "
            "task should be instance",
        ),
        (
            other("binary", "[{name: x}]"),
            r"head binary: 1 output\(s\), one class each, need 2 classes, a background first; the "
            "card names 3",
        ),
        (
            other("semantic", "[{name: x}]") + "palette: [[1, 2, 3]]\n",
            "palette has 1 colours for 3 classes",
        ),
        (
            other("yolo-seg", "[{name: x}]", "[background]"),
            "classes must name at least one class besides the background",
        ),
        (other("semantic", "[{name: x}]", "[]"), "classes must name at least one class"),
        (
            other("semantic", "[{name: x}]", str([f"c{n}" for n in range(300)])),
            "classes: .* at most 255",
        ),
        (other("yolo", "[{name: x}]"), "head: should be 'person', 'semantic', .*, got 'yolo'"),
    ],
)
def test_a_card_whose_parts_disagree_gets_one_line(tmp_path: Path, card: str, message: str) -> None:
    path = write(tmp_path, card)
    with pytest.raises(ModelError, match=message) as caught:
        ModelSpec.from_card(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_thresholds_of_the_user_s_replace_the_model_s(tmp_path: Path) -> None:
    spec = ModelSpec.from_card(write(tmp_path, CARD + "thresholds: {decision: 0.4}\n"))
    changed = spec.with_thresholds(decision=None, score=0.7).thresholds
    assert (changed.decision, changed.score) == (0.4, 0.7)
