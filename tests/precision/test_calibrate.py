"""Ranges and means that are known, remembered, and carried by a file."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from small_nets import (
    as_file,
    drawn_folder,
    random_inputs,
    run,
    scene_graph,
    scene_model,
    scene_spec,
)
from tiny_onnx import GAIN, SIZE, tiny_model
from tiny_tasks import boxes_model, colors_model

from edgeseg.errors import ConfigError, ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.precision import calibrate as module
from edgeseg.precision.calibrate import Calibration, calibrate, calibration_inputs
from edgeseg.precision.int8_cpu import to_int8
from edgeseg.precision.likeness import finds_something
from edgeseg.spec import Activation, Thresholds
from edgeseg.types import Size


def two_levels(folder: Path, *levels: int) -> Path:
    """Pictures of which each has two grey levels, half and half."""
    folder.mkdir()
    for number, level in enumerate(levels):
        picture = np.full((SIZE.height, SIZE.width, 3), level, np.uint8)
        picture[:, : SIZE.width // 2] = 128
        cv2.imwrite(filename=str(folder / f"{number}.png"), img=picture)
    return folder


def test_ranges_and_means_of_a_network_that_is_known(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "m.onnx", "logit"))
    folder = two_levels(tmp_path / "p", 8, 248)
    found = calibrate(model, folder, method="minmax", count=2)
    least, greatest = found.ranges["logit"]
    assert least == pytest.approx(GAIN * (8 - 127.5), abs=0.15)
    assert greatest == pytest.approx(GAIN * (248 - 127.5), abs=0.15)
    planar = found.means["planar"]
    assert planar == pytest.approx([128] * 3, abs=1.5)
    assert found.data == {"data": f"{tmp_path.name}/p", "method": "minmax", "images": 2, "seed": 0}
    assert found.source_sha256 == model.sha256
    assert {"float", "planar", "logit", "person"} <= set(found.ranges)


def test_the_range_of_a_tensor_is_that_of_all_pictures(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 6)
    found = calibrate(model, folder, method="minmax", count=6)
    outputs = [run(model.data, {"image": x})[0] for x in calibration_inputs(model.spec, folder)]
    expected = (min(o.min() for o in outputs), max(o.max() for o in outputs))
    assert found.ranges["scores"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_it_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: module.Method
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 4)
    first = calibrate(model, folder, method=method, count=4)
    monkeypatch.setattr(module, "_measured", lambda *_, **__: pytest.fail("measured again"))
    assert calibrate(model, folder, method=method, count=4) == first


def test_other_pictures_methods_or_seeds_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 6)

    def kept() -> int:
        return len(list((tmp_path / "cache" / "edgeseg" / "calibration").glob("*.json")))

    calls: list[dict[str, Any]] = [
        {"count": 4},
        {"count": 4, "method": "minmax"},
        {"count": 5},
        {"count": 4, "seed": 1},
    ]
    for number, call in enumerate(calls, start=1):
        calibrate(model, folder, **call)
        assert kept() == number
    drawn_folder(folder, 6, seed=9)
    calibrate(model, folder, count=4)
    assert kept() == len(calls) + 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"data": {}, "notes": []}'])
def test_a_damaged_memory_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 4)
    first = calibrate(model, folder, count=4)
    (file,) = (tmp_path / "cache" / "edgeseg" / "calibration").iterdir()
    file.write_text(damage)
    assert calibrate(model, folder, count=4) == first
    assert json.loads(file.read_text())["ranges"]


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    model = scene_model(tmp_path / "m.onnx")
    assert calibrate(model, drawn_folder(tmp_path / "p", 2), count=2).ranges


def test_a_file_gives_back_what_it_was_made_with(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    found = calibrate(model, drawn_folder(tmp_path / "p", 4), count=4)
    file = as_file(to_int8(model, found), tmp_path / "m.int8.onnx")
    back = Calibration.from_file(file)
    assert (back.ranges, back.means, back.data) == (found.ranges, found.means, found.data)
    assert back.source_sha256 == model.sha256
    assert to_int8(model, back) == to_int8(model, found)


def test_a_file_without_ranges_is_refused(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"m\.onnx: carries no calibration ranges.*edgeseg build"):
        Calibration.from_file(model)


@pytest.mark.parametrize(
    "text",
    [
        "no base64",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(zlib.compress(b'{"ranges": {"x": [1]}}')).decode(),
    ],
)
def test_a_file_with_damaged_ranges_is_refused(tmp_path: Path, text: str) -> None:
    model = scene_model(tmp_path / "m.onnx")
    found = calibrate(model, drawn_folder(tmp_path / "p", 2), count=2)
    graph = onnx.load_from_string(to_int8(model, found))
    for entry in graph.metadata_props:
        if entry.key == "edgeseg.ranges":
            entry.value = text
    file = as_file(graph.SerializeToString(), tmp_path / "m.int8.onnx")
    with pytest.raises(ModelError, match="its calibration ranges are damaged"):
        Calibration.from_file(file)


def test_fewer_pictures_than_asked_for_are_noted(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 3)
    (note,) = calibrate(model, folder, count=50).notes
    assert "3 pictures, 50 were asked for; ranges from so few are uncertain" in note
    assert calibrate(model, folder, count=3).notes == ()


def test_pictures_in_which_nothing_is_found_are_noted(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "m.onnx"))
    dark = two_levels(tmp_path / "dark", 10, 20)
    for picture in dark.iterdir():  # nobody is that dark
        bgr = cv2.imread(filename=str(picture))
        assert bgr is not None
        cv2.imwrite(filename=str(picture), img=bgr // 4)
    (note,) = calibrate(model, dark, count=2).notes
    assert "the model finds nothing in any of the 2 pictures" in note
    assert calibrate(model, two_levels(tmp_path / "bright", 10, 250), count=2).notes == ()


def test_pictures_of_one_colour_are_refused(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    (tmp_path / "p").mkdir()
    for level in (0, 90):
        picture = np.full((24, 32, 3), level, np.uint8)
        cv2.imwrite(filename=str(tmp_path / "p" / f"{level}.png"), img=picture)
    with pytest.raises(ConfigError, match="each of the 2 pictures is of one colour"):
        calibrate(model, tmp_path / "p", count=2)


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    folder = drawn_folder(tmp_path / "p", 1)
    with pytest.raises(ConfigError, match="unknown calibration method 'precentile'; did you mean"):
        calibrate(model, folder, method="precentile")  # type: ignore[arg-type]


def outputs_of(model: ModelFile, picture: Any) -> dict[str, Any]:
    names = [output.name for output in model.spec.outputs]
    return dict(zip(names, run(model.data, {"image": picture}), strict=True))


@pytest.mark.parametrize("head", ["probability", "logit", "pair", "three"])
@pytest.mark.parametrize(("level", "found"), [(220, True), (40, False)])
def test_a_bright_picture_has_somebody_in_it(
    tmp_path: Path, head: str, level: int, found: bool
) -> None:
    model = load_model(tiny_model(tmp_path / "m.onnx", head))
    picture = np.full(model.spec.input.shape, level, np.uint8)
    assert finds_something(model.spec, outputs_of(model, picture)) is found


def test_a_second_class_is_something(tmp_path: Path) -> None:
    model = load_model(colors_model(tmp_path / "m.onnx", size=Size(32, 24)))
    picture = np.zeros(model.spec.input.shape, np.uint8)
    picture[..., 1] = 200
    assert not finds_something(model.spec, outputs_of(model, picture))
    picture[:, :, :9, 2] = 255
    assert finds_something(model.spec, outputs_of(model, picture))


@pytest.mark.parametrize(("activation", "expected"), [("none", False), ("sigmoid", True)])
def test_an_object_needs_its_least_score(
    tmp_path: Path, activation: Activation, expected: bool
) -> None:
    box = (0.1, 0.1, 0.5, 0.5)
    path = boxes_model(
        tmp_path / "m.onnx", size=Size(32, 24), classes=["a", "b"], found=[(1, 0.4, box)]
    )
    model = load_model(path)
    spec = model.spec.model_copy(update={"thresholds": Thresholds(score=0.3)})
    outputs = outputs_of(model, random_inputs(1)[0])
    assert finds_something(spec, outputs)
    outputs_spec = tuple(
        output.model_copy(update={"activation": activation}) for output in spec.outputs
    )
    strict = spec.model_copy(update={"thresholds": Thresholds(score=0.5), "outputs": outputs_spec})
    assert finds_something(strict, outputs) is expected, "logits cannot be judged here"


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    other = scene_model(tmp_path / "other.onnx", scene_graph(seed=1), scene_spec())
    found = calibrate(other, drawn_folder(tmp_path / "p", 2), count=2)
    with pytest.raises(ModelError, match=r"m\.onnx: the calibration is of another file"):
        to_int8(model, found)
    with pytest.raises(ModelError, match=r"no range of tensor .*calibrate again"):
        to_int8(model, Calibration({}, {}))
