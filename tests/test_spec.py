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
