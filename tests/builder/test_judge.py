"""Scores of tiny networks against data whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import SIZE, tiny_model
from tiny_tasks import COLORS, boxes_model, colors_model

from edgeseg.backends import open_backend
from edgeseg.builder.judge import AgreementJudge, LabelJudge, Score
from edgeseg.builder.speed import side_by_side_ms
from edgeseg.errors import ConfigError
from edgeseg.evaluate import DataChoice
from edgeseg.model_file import load_model
from edgeseg.protocols import Backend, BackendInfo, Tensor
from edgeseg.types import U8


def write(folder: Path, kind: str, name: str, pixels: U8) -> None:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Bright is person: in "one" rightly so, in "two" only half of what is one."""
    for name, bright in (("one", 32), ("two", 16)):
        image, mask = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
        image[:, :bright], mask[:, :32] = 255, 1
        write(tmp_path / "people", "images", name, image)
        write(tmp_path / "people", "masks", name, mask)
    return tmp_path / "people"


def test_the_worst_figure_counts() -> None:
    better = Score({"mask AP": 0.5, "mask AP50": 0.8})
    assert better.lost_to(Score({"mask AP": 0.45, "mask AP50": 0.79})) == pytest.approx(5.0)
    assert better.lost_to(Score({"mask AP": 0.55, "mask AP50": 0.79})) == pytest.approx(1.0)
    assert better.lost_to(Score({"mask AP": 0.6, "mask AP50": 0.9})) == pytest.approx(-10.0)
    assert Score({"mIoU": 0.5}, 0.25).figures() == {"mIoU": 0.5, "boundary_f": 0.25}


def test_a_portrait_is_judged_by_person_iou(people: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "net.onnx"))
    judge = LabelJudge(model.spec, DataChoice(people))
    score = judge.score(open_backend(model))
    assert dict(score.judged) == {"person IoU": pytest.approx(3 / 4, abs=0.01)}
    assert score.boundary_f is not None
    assert judge.data == {"kind": "accuracy", "data": "people", "split": None, "pictures": 2}
    assert judge.score(open_backend(model)) == score, "nothing is left of the first one"


def test_a_portrait_of_several_sources_is_judged_by_their_mean(
    people: Path, tmp_path: Path
) -> None:
    rows = '[{"file": "one", "source": "a"}, {"file": "two", "source": "b"}]'
    (people / "manifest.json").write_text(rows)
    model = load_model(tiny_model(tmp_path / "net.onnx"))
    score = LabelJudge(model.spec, DataChoice(people)).score(open_backend(model))
    assert score.judged["person IoU"] == pytest.approx((1 + 1 / 2) / 2, abs=0.02)


def test_classes_are_judged_by_miou(tmp_path: Path) -> None:
    model = load_model(colors_model(tmp_path / "net.onnx", size=SIZE))
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 2] = 200  # red
    labels = np.zeros((48, 64), np.uint8)
    labels[:, 48:] = 1
    write(tmp_path / "data", "images", "a", image)
    write(tmp_path / "data", "labels", "a", labels)
    judge = LabelJudge(model.spec, DataChoice(tmp_path / "data"))
    assert dict(judge.score(open_backend(model)).judged) == {
        "mIoU": pytest.approx((3 / 4 + 0) / 2, abs=0.01)
    }


def test_objects_are_judged_from_a_low_score_on(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="COCO's AP needs pycocotools")
    found = [(0, 0.1, (0.0, 0.0, 0.5, 1.0))]
    path = boxes_model(tmp_path / "net.onnx", size=SIZE, classes=("car",), found=found)
    judge_of = load_model(path)
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 255
    write(tmp_path / "data", "images", "a", image)
    mask = {"size": [48, 64], "counts": [0, 48 * 32, 48 * 32]}
    one = {"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": mask}
    (tmp_path / "data" / "instances.json").write_text(
        str(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
                "categories": [{"id": 3, "name": "car"}],
                "annotations": [one],
            }
        ).replace("'", '"')
    )
    judge = LabelJudge(judge_of.spec, DataChoice(tmp_path / "data"))
    assert judge_of.spec.thresholds.score == 0.3
    score = judge.score(open_backend(judge_of))
    assert dict(score.judged) == {"mask AP": 1.0, "mask AP50": 1.0}
    assert score.boundary_f is None


def test_other_data_than_the_models_is_refused(people: Path, tmp_path: Path) -> None:
    model = load_model(colors_model(tmp_path / "net.onnx", size=SIZE, classes=COLORS))
    with pytest.raises(ConfigError, match="person masks"):
        LabelJudge(model.spec, DataChoice(people))


def test_agreement_is_with_fp32s_own_decisions(tmp_path: Path) -> None:
    """Half bright; the other network sees 100 as bright, too: a third of each picture."""
    model = load_model(tiny_model(tmp_path / "net.onnx"))
    picture = np.zeros((1, SIZE.height, SIZE.width, 3), np.uint8)
    picture[:, :, :16], picture[:, :, 16:24] = 255, 100
    judge = AgreementJudge(model.spec, [picture] * 2, open_backend(model), source="some")
    assert dict(judge.score(open_backend(model)).judged) == {"agreement IoU": 1.0}
    brighter = _Brighter(open_backend(model))
    assert judge.score(brighter).judged["agreement IoU"] == pytest.approx(16 / 24, abs=1e-4)
    assert judge.data == {"kind": "agreement", "data": "some", "pictures": 2}
    assert "agreement with FP32" in judge.notes[0]
    assert "not accuracy" in judge.notes[0]


def test_calls_take_turns_and_medians_come_out(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "net.onnx"))
    slow, fast = _Brighter(open_backend(model), extra=400), _Brighter(open_backend(model))
    found = side_by_side_ms({"slow": slow, "fast": fast}, model.spec.input, budget_s=0.1)
    assert found["slow"] > found["fast"] > 0
    assert slow.calls == fast.calls >= 5


class _Brighter:
    """The tiny network on a picture that is 50 grey levels brighter, run several times."""

    def __init__(self, backend: Backend, *, extra: int = 0) -> None:
        self._backend, self._extra, self.calls = backend, extra, 0

    @property
    def info(self) -> BackendInfo:
        return self._backend.info

    def infer(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.calls += 1
        brighter: dict[str, Tensor] = {
            name: np.minimum(picture.astype(np.int32) + 50, 255).astype(np.uint8)
            for name, picture in inputs.items()
        }
        for _ in range(self._extra):
            self._backend.infer(brighter)
        return self._backend.infer(brighter)

    def warm_up(self) -> None:
        """Nothing to warm."""

    def close(self) -> None:
        """Nothing to close."""
