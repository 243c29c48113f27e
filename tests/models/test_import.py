"""Imported networks give the official code's numbers, from uint8 pixels, as files that run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import torch
from golden_import import NAMES, golden, made_up_state

from edgeseg.labels import CITYSCAPES
from edgeseg.model_file import load_model
from edgeseg.models.export import open_session
from edgeseg.models.importing import Wishes, import_checkpoint
from edgeseg.models.importing.architectures import Settings
from edgeseg.models.importing.class_names import VOC, label_set_for, voc_color
from edgeseg.models.importing.fitting import fitted
from edgeseg.models.importing.run import deployed
from edgeseg.models.yolact_official import OfficialYolact, anchors, decode_boxes
from edgeseg.spec import METADATA_KEY, ModelSpec
from edgeseg.types import Size

ANYWHERE = Path("made-up.pth")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch's threads wait for one another by spinning, which a busy machine punishes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", NAMES)
def test_from_pixels_every_network_gives_the_official_numbers(name: str) -> None:
    recorded = golden(name)
    state = recorded.state()
    network = fitted(state, recorded.known, recorded.settings(state), path=ANYWHERE)
    wrapped = deployed(recorded.known, network)
    with torch.inference_mode():
        outputs = wrapped(torch.from_numpy(recorded.picture())[None])
    names = [output.name for output in recorded.known.outputs]
    found = {key: value.numpy() for key, value in zip(names, outputs, strict=True)}
    recorded.check(found, tolerance=1e-5)


@pytest.mark.parametrize(
    "name", ["sinet", "sinet-cityscapes", "deeplabv3plus-mobilenetv2", "yolact-resnet50"]
)
def test_the_file_gives_the_official_numbers_and_its_card_describes_it(
    name: str, tmp_path: Path
) -> None:
    recorded = golden(name)
    checkpoint = tmp_path / "official.pth"
    torch.save(recorded.state(), checkpoint)
    folder = tmp_path / "models"
    path, spec = import_checkpoint(checkpoint, name, folder, Wishes(size=recorded.size))
    assert sorted(p.name for p in folder.iterdir()) == [f"{name}.onnx", f"{name}.yaml"]

    session = open_session(str(path))
    names = [output.name for output in session.get_outputs()]
    given = session.run(names, {"image": recorded.picture()[None]})
    recorded.check(dict(zip(names, given, strict=True)), tolerance=1e-4)
    assert names == [output.name for output in spec.outputs]
    shape = session.get_inputs()[0]
    assert (shape.type, shape.shape) == ("tensor(uint8)", list(spec.input.shape))
    assert len(spec.source_sha256) == 64
    assert spec.metrics["parameters"] > 80_000
    assert "MIT" in spec.licence

    inside = session.get_modelmeta().custom_metadata_map[METADATA_KEY]
    assert ModelSpec.from_json(inside, where="file") == spec
    assert ModelSpec.from_card(path.with_suffix(".yaml")) == spec


def test_an_imported_portrait_model_is_found_by_its_path(tmp_path: Path) -> None:
    recorded = golden("sinet")
    checkpoint = tmp_path / "official.pth"
    torch.save({"module." + key: value for key, value in recorded.state().items()}, checkpoint)
    wishes = Wishes(name="mine", size=Size(64, 96))
    path, spec = import_checkpoint(checkpoint, "sinet", tmp_path, wishes)
    loaded = load_model(path)
    assert loaded.spec == spec
    assert (loaded.name, loaded.spec.input.size) == ("mine", Size(64, 96))


def test_separable_heads_and_output_stride_8_are_told_apart() -> None:
    recorded = golden("deeplabv3plus-mobilenetv2")
    known, size = recorded.known, Size(65, 65)
    settings = Settings(5, size, 8, separable=True)
    state = dict(known.build(settings).state_dict())
    assert known.classes(state) == 5
    assert known.settings(state, size, 8) == settings
    network = fitted(state, known, settings, path=ANYWHERE)
    strides = [m.stride for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert strides.count((2, 2)) == 3


def test_three_classes_are_not_taken_for_three_colours(tmp_path: Path) -> None:
    shapes = golden("sinet-cityscapes").known.build(Settings(3, Size(128, 128))).state_dict()
    checkpoint = tmp_path / "three.pth"
    torch.save(made_up_state({key: tuple(v.shape) for key, v in shapes.items()}), checkpoint)
    wishes = Wishes(size=Size(128, 128))
    _, spec = import_checkpoint(checkpoint, "sinet-cityscapes", tmp_path, wishes)
    assert spec.classes == ("class 0", "class 1", "class 2")


def test_class_names_follow_the_head() -> None:
    assert label_set_for("semantic", 19, None, where="") == CITYSCAPES
    assert label_set_for("semantic", 21, None, where="") == VOC
    assert label_set_for("instance", 80, None, where="").names[0] == "person"
    assert label_set_for("instance", 20, None, where="").names == VOC.names[1:]
    assert label_set_for("semantic", 3, None, where="").names == ("class 0", "class 1", "class 2")
    assert label_set_for("semantic", 3, ("a", "b", "c"), where="").names == ("a", "b", "c")


def test_voc_colours_are_the_published_ones() -> None:
    assert [voc_color(n) for n in (0, 1, 2, 15, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]


def test_coco_anchors_are_square_and_pascal_ones_are_not() -> None:
    square = anchors(height=1, width=2, side=0.1, square=True)
    assert square[:, :2].tolist() == [[0.25, 0.5]] * 3 + [[0.75, 0.5]] * 3
    assert torch.equal(square[:, 2], square[:, 3])
    plain = anchors(height=1, width=1, side=0.1, square=False)
    assert torch.allclose(plain[:, 2] * plain[:, 3], torch.tensor(0.01))
    assert torch.allclose(plain[:, 2] / plain[:, 3], torch.tensor([1.0, 0.5, 2.0]))


def test_boxes_are_decoded_by_hand() -> None:
    prior = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    still = decode_boxes(torch.zeros(1, 1, 4), prior)
    assert torch.allclose(still, torch.tensor([[[0.4, 0.3, 0.6, 0.7]]]))
    # One anchor width is 10 steps of 0.1; exp(0.2 * ln(2) / 0.2) doubles the width.
    moved = decode_boxes(torch.tensor([[[10.0, 0.0, float(np.log(2) / 0.2), 0.0]]]), prior)
    assert torch.allclose(moved, torch.tensor([[[0.5, 0.3, 0.9, 0.7]]]), atol=1e-6)


def test_sides_of_anchors_scale_with_the_picture() -> None:
    with torch.device("meta"):
        network = OfficialYolact(80, "resnet50", size=400)
    assert [round(side * 400) for side in network.sides] == [17, 34, 69, 139, 279]
