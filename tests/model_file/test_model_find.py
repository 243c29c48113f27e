from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tiny_onnx import embed, network, save, spec_for, tiny_model

from edgeseg.errors import ModelError, SpecMismatch
from edgeseg.model_file import load_model, shipped_models


def test_a_file_with_its_recipe_inside_loads(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    loaded = load_model(path)
    assert (loaded.name, loaded.spec, loaded.card) == ("tiny", spec_for(), None)
    assert loaded.data == path.read_bytes()
    assert loaded.sha256 == hashlib.sha256(loaded.data).hexdigest()
    assert "\\x" not in repr(loaded)


def test_the_card_wins_over_the_metadata(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    card = path.with_suffix(".yaml")
    card.write_text(spec_for(name="by-card").to_card(), encoding="utf-8")
    assert load_model(path).name == "by-card"
    assert load_model(card).card == card


def test_every_shipped_model_loads_by_name() -> None:
    assert "portrait" in shipped_models()
    assert list(shipped_models()) == sorted(shipped_models())
    for name in shipped_models():
        assert load_model(name).spec.input.dtype == "uint8"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("portrit", r"^unknown model 'portrit'; did you mean 'portrait.*'\? \(shipped: .*portrait"),
        ("zzz", r"^unknown model 'zzz' \(shipped: .*; or give the path of an .onnx file\)$"),
    ],
)
def test_unknown_names_get_the_nearest_and_the_list(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(name)


def test_missing_files_get_the_nearest(tmp_path: Path) -> None:
    tiny_model(tmp_path / "segmenter.onnx")
    with pytest.raises(ModelError, match=r"no such model file; did you mean 'segmenter\.onnx'\?$"):
        load_model(tmp_path / "segmentor.onnx")
    with pytest.raises(ModelError, match=r"no such model file; did you mean 'portrait'\?$"):
        load_model("portrait.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match=r"folder\.onnx: is a folder, expected an \.onnx file"):
        load_model(tmp_path / "folder.onnx")


def test_a_foreign_file_without_a_card_says_what_a_card_needs(tmp_path: Path) -> None:
    path = save(tmp_path / "foreign.onnx", network())
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: the file carries no edgeseg recipe")
    assert "no card foreign.yaml beside it" in message
    assert "input: {name, size, layout, order, dtype, mean, std}" in message
    assert message.endswith(f"edgeseg models check {path}")


def test_a_card_that_does_not_match_names_every_difference(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", network("pair"), spec_for("probability", dtype="float32"))
    with pytest.raises(SpecMismatch) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path.with_suffix('.yaml')}: the recipe does not match net.onnx: ")
    assert "input.dtype is float32, the file takes uint8; output 'person' has 2 channels" in message


def test_a_malformed_recipe_names_its_key(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", network())
    path.with_suffix(".yaml").write_text("input: {nam: x}\noutputs: []\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"net\.yaml: .*input\.nam: unknown key; did you mean"):
        load_model(path)
    model = embed(network(), spec_for())
    model.metadata_props[0].value = '{"name": "x"}'
    inside = save(tmp_path / "inside.onnx", model)
    with pytest.raises(ModelError, match=r"inside\.onnx \(its metadata\): input: missing"):
        load_model(inside)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"net\.onnx: not an ONNX model, or damaged"):
        load_model(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"damaged: it is empty; fetch or export it again"):
        load_model(path)
