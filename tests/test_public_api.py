from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model

import edgeseg


def test_every_public_name_exists_and_no_other() -> None:
    for name in edgeseg.__all__:
        assert getattr(edgeseg, name) is not None
    assert dir(edgeseg) == sorted(edgeseg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'opne_segmenter'"):
        edgeseg.opne_segmenter  # noqa: B018


def test_the_docstring_example() -> None:
    photo = Path(__file__).parents[1] / "tools" / "demo" / "astronaut.jpg"
    picture = cv2.imread(str(photo))
    assert picture is not None
    with edgeseg.open_segmenter("portrait", threads=1) as portrait:
        matte = portrait.segment(edgeseg.frame_from_bgr(picture))
    assert isinstance(matte, edgeseg.Matte)
    person = cv2.resize(src=matte.person, dsize=(512, 512)) >= matte.threshold
    assert person[210:330, 120:260].mean() > 0.95, "her suit"
    assert person[:80, 400:].mean() < 0.05, "the background beside her"
    labels = edgeseg.label_map(matte)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels == 1, person)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "float", "empty"],
)
def test_a_picture_of_another_kind(picture: np.ndarray) -> None:
    with pytest.raises(edgeseg.ConfigError, match=r"expected a uint8 \[H, W, 3\] BGR picture"):
        edgeseg.frame_from_bgr(picture)


def test_run_returns_and_writes_the_report(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    report = edgeseg.run(
        {
            "source": {"uri": "synthetic://portrait?size=64x48&frames=3"},
            "model": {"threads": 1, "workers": 1},
            "output": {"window": False},
            "report": str(path),
        }
    )
    assert json.loads(path.read_text()) == report
    assert report["frames"]["written"] == 3
    assert report["ended"] == "done"


def test_a_backend_and_a_precision_can_be_asked_for(tmp_path: Path) -> None:
    with edgeseg.open_segmenter("portrait-sinet", backend="onnxruntime", precision="fp32") as one:
        assert one.name == "portrait-sinet"
    with pytest.raises(
        edgeseg.ConfigError, match=r"open_segmenter: model\.backend: should be 'auto'"
    ):
        edgeseg.open_segmenter(backend="onnx")
    net = tiny_model(tmp_path / "net.onnx")
    with pytest.raises(edgeseg.ConfigError, match="no FP16 file of tiny"):
        edgeseg.open_segmenter(net, backend="onnxruntime", precision="fp16")
