"""AP against cases worked out by hand, and against the reference library fed directly."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as reference
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tiny_tasks import boxes_model

from edgeseg.backends import open_backend
from edgeseg.errors import ConfigError
from edgeseg.evaluate import evaluate
from edgeseg.evaluate.coco_data import open_coco
from edgeseg.evaluate.contact_sheet import TILE, write_contact_sheet
from edgeseg.evaluate.drawing import HIT, INVENTED, MISSED
from edgeseg.evaluate.instances import InstanceScoring
from edgeseg.labels import label_set
from edgeseg.model_file import load_model
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import U8, Geometry, Instances, Rect, Size

SIZE = Size(60, 40)
LABELS = label_set(("Person", "car", "unicorn"))
PERSON, CAR, CAT = 1, 3, 17
CATEGORIES = {PERSON: "person", CAR: "car", CAT: "cat"}
Box = tuple[int, int, int, int]
"""Left, top, right, bottom; the mask fills it."""
Guess = tuple[int, float, Box]
"""Class number, score, box."""


def counts_of(mask: U8) -> list[int]:
    flat = mask.T.ravel()
    runs = np.diff([0, *np.flatnonzero(np.diff(flat, prepend=0)), mask.size])
    return [int(run) for run in runs]


def filled(box: Box, size: Size = SIZE) -> U8:
    mask = np.zeros((size.height, size.width), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


class DataSet:
    """A COCO folder being made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()],
        }
        (folder / "images").mkdir(exist_ok=True)

    def add(self, *objects: tuple[int, Box], crowd: bool = False, **image: Any) -> None:
        """Adds a picture of dark ground and bright objects: category, box."""
        number = len(self.rows["images"])
        picture = np.zeros((SIZE.height, SIZE.width, 3), np.uint8)
        for category, box in objects:
            picture[filled(box) == 1] = 255
            self.rows["annotations"].append(
                {
                    "id": len(self.rows["annotations"]),  # from 0, which the library cannot take
                    "image_id": number,
                    "category_id": category,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": int(filled(box).sum()),
                    "iscrowd": int(crowd),
                    "segmentation": {
                        "size": [SIZE.height, SIZE.width],
                        "counts": counts_of(filled(box)),
                    },
                }
            )
        row = {"id": number, "file_name": f"{number}.png", "width": 60, "height": 40, **image}
        self.rows["images"].append(row)
        assert cv2.imwrite(str(self.folder / "images" / f"{number}.png"), picture)

    def scoring(self, **options: Any) -> InstanceScoring:
        (self.folder / "instances.json").write_text(json.dumps(self.rows))
        return InstanceScoring(open_coco(self.folder, **options), LABELS, shown_from=0.5)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return DataSet(tmp_path)


def result(*guesses: Guess, masks: list[U8] | None = None, size: Size = SIZE) -> Instances:
    boxes = np.array([box for *_, box in guesses], np.float32).reshape(-1, 4)
    full = [np.full((2, 3), 255, np.uint8)] * len(guesses)
    return Instances(
        boxes_xyxy=boxes,
        scores=np.array([score for _, score, _ in guesses], np.float32),
        labels=np.array([label for label, *_ in guesses], np.int32),
        masks=tuple(masks or full),
        areas_xyxy=boxes,
        geometry=Geometry(size, size, Rect(0, 0, *size)),
        label_set=LABELS,
    )


A, B, ELSEWHERE = (5, 5, 25, 25), (35, 5, 55, 25), (5, 28, 25, 38)


def test_one_right_and_one_wrong_by_hand(data: DataSet) -> None:
    """Of two objects one is found, first; then a wrong one: precision 1 up to recall 1/2.

    51 of the 101 recall points 0, .01, ... 1 are not above 1/2.
    """
    data.add((PERSON, A), (PERSON, B))
    scoring = data.scoring()
    scoring.add(0, result((0, 0.9, A), (0, 0.6, ELSEWHERE)))
    figures = scoring.figures()
    assert figures["ap50"] == {"mask": pytest.approx(51 / 101, abs=1e-5)} | {
        "box": pytest.approx(51 / 101, abs=1e-5)
    }
    assert figures["ap"] == figures["ap75"] == figures["ap50"]
    assert figures["classes"]["Person"] == {
        "objects": 2, **{name: figures[name] for name in ("ap", "ap50", "ap75")}
    }  # fmt: skip
    assert (figures["images"], figures["objects"], figures["objects_found"]) == (1, 2, 2)


def test_a_wrong_one_first_halves_the_precision(data: DataSet) -> None:
    data.add((PERSON, A))
    scoring = data.scoring()
    scoring.add(0, result((0, 0.6, A), (0, 0.9, ELSEWHERE)))
    assert scoring.figures()["ap50"]["mask"] == pytest.approx(1 / 2)


def test_masks_and_boxes_are_scored_apart(data: DataSet) -> None:
    """A mask of 3 of 5 columns has an IoU of .6 in a box of its own: right at .50, .55 and .60."""
    data.add((PERSON, A))
    mask = np.zeros((20, 20), np.uint8)
    mask[:, :12] = 255
    scoring = data.scoring()
    scoring.add(0, result((0, 0.9, A), masks=[mask]))
    figures = scoring.figures()
    assert figures["ap"] == {"mask": pytest.approx(3 / 10), "box": 1}
    assert figures["ap50"] == {"mask": 1, "box": 1}
    assert figures["ap75"] == {"mask": 0, "box": 1}


def test_the_mean_is_over_the_classes_that_occur(data: DataSet) -> None:
    data.add((PERSON, A), (CAR, B))
    scoring = data.scoring()
    scoring.add(0, result((0, 0.9, A), (2, 0.8, ELSEWHERE)))
    figures = scoring.figures()
    assert list(figures["classes"]) == ["Person", "car"]
    assert figures["classes"]["car"]["ap50"] == {"mask": 0, "box": 0}
    assert figures["ap50"]["mask"] == pytest.approx(1 / 2)


def test_only_judged_classes_count_in_a_partly_labelled_picture(data: DataSet) -> None:
    """Cars found among labelled people are not wrong; a second car where one is labelled is."""
    data.add((PERSON, A), labelled_categories=[PERSON], source="people")
    data.add((CAR, A), labelled_categories=[], source="cars")
    data.add((CAR, A), labelled_categories="all", source="all")
    scoring = data.scoring()
    scoring.add(0, result((0, 0.5, A), (1, 0.9, B)))
    scoring.add(1, result((1, 0.5, A), (1, 0.9, B), (0, 0.9, ELSEWHERE)))
    scoring.add(2, result((1, 0.5, A), (0, 0.9, ELSEWHERE)))
    sources = scoring.figures()["sources"]
    assert sources["people"]["classes"]["Person"]["ap50"]["mask"] == 1
    assert "car" not in sources["people"]["classes"]
    assert sources["cars"]["classes"]["car"]["ap50"]["mask"] == pytest.approx(1 / 2)
    # Over all pictures the person found in the fully labelled one is wrong, the others unjudged.
    assert scoring.figures()["classes"]["Person"]["ap50"]["mask"] == pytest.approx(1 / 2)


def test_crowds_count_neither_way(data: DataSet) -> None:
    data.add((PERSON, (0, 0, 60, 20)), crowd=True)
    data.add((PERSON, A))
    scoring = data.scoring()
    assert scoring.add(0, result((0, 0.9, (5, 2, 15, 18)), (0, 0.9, (20, 2, 30, 18)))) == 1
    scoring.add(1, result((0, 0.5, A)))
    figures = scoring.figures()
    assert figures["ap50"] == {"mask": 1, "box": 1}
    assert figures["objects"] == 1


def test_nothing_found_is_zero_and_left_out_classes_are_named(data: DataSet) -> None:
    data.add((PERSON, A), (CAT, B))
    scoring = data.scoring()
    scoring.add(0, result())
    assert scoring.figures()["ap50"] == {"mask": 0, "box": 0}
    assert scoring.notes == (
        "left out, the model does not have them: cat",
        "left out, the data does not have them: unicorn",
    )
    json.dumps(scoring.figures(), allow_nan=False)


def test_masks_lie_where_their_area_is(data: DataSet) -> None:
    """A mask at a coarse resolution over a part of the frame, cut off at its border."""
    data.add((PERSON, (40, 10, 60, 30)))
    coarse = np.zeros((4, 8), np.uint8)
    coarse[:, 4:] = 255
    guess = result((0, 0.9, (20, 10, 60, 30)), masks=[coarse])
    scoring = data.scoring()
    assert scoring.add(0, guess) == 1
    assert scoring.figures()["ap"]["mask"] == 1


def test_one_source_can_be_scored_alone(data: DataSet) -> None:
    data.add((PERSON, A), source="good")
    data.add((PERSON, A), source="bad")
    assert [path.name for path in data.scoring(sources=["bad"]).pictures] == ["1.png"]


def directly(rows: dict[str, Any], found: list[dict[str, Any]], kind: str) -> list[float]:
    """AP, AP50 and AP75 of pycocotools's own summary."""
    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(rows))
        for row in truth.dataset["annotations"]:
            row["id"] += 1
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(found), kind)
        judge.params.catIds = [PERSON, CAR]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(value) for value in judge.stats[:3]]


def test_it_agrees_with_the_library_fed_directly(data: DataSet) -> None:
    rng = np.random.default_rng(5)

    def box() -> Box:
        x, y = rng.integers(0, 40), rng.integers(0, 25)
        return int(x), int(y), int(x + rng.integers(5, 20)), int(y + rng.integers(5, 15))

    found, results = [], []
    for image in range(12):
        objects = [(int(rng.choice([PERSON, CAR])), box()) for _ in range(4)]
        data.add(*objects)
        guesses: list[Guess] = []
        for category, place in [*objects[:3], (CAR, box())]:
            shift = int(rng.integers(-3, 4))
            moved = (max(place[0] + shift, 0), place[1], min(place[2] + shift, 60), place[3])
            score = float(np.float32(rng.random()))
            guesses.append(({PERSON: 0, CAR: 1}[category], score, moved))
            found.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "score": score,
                    "bbox": [moved[0], moved[1], moved[2] - moved[0], moved[3] - moved[1]],
                    "segmentation": reference.encode(np.asfortranarray(filled(moved))),
                }
            )
        results.append(result(*guesses))
    scoring = data.scoring()
    for index, one in enumerate(results):
        scoring.add(index, one)
    figures = scoring.figures()
    for kind, name in (("mask", "segm"), ("box", "bbox")):
        expected = directly(data.rows, found, name)
        assert 0.05 < expected[0] < 0.95
        ours = [figures[key][kind] for key in ("ap", "ap50", "ap75")]
        assert ours == pytest.approx(expected, abs=1e-5)


def test_all_three_ways_to_write_a_mask_score_alike(data: DataSet) -> None:
    for _ in range(3):
        data.add((PERSON, A))
    compressed = reference.encode(np.asfortranarray(filled(A)))
    rows = data.rows["annotations"]
    rows[1]["segmentation"] = {"size": [40, 60], "counts": compressed["counts"].decode()}
    rows[2]["segmentation"] = [[5, 5, 25, 5, 25, 25, 5, 25]]
    del rows[2]["bbox"]
    scoring = data.scoring()
    for index in range(3):
        assert scoring.add(index, result((0, 0.9, A))) == 1
    assert scoring.figures()["ap"] == {"mask": 1, "box": 1}


@pytest.fixture
def segmenter(tmp_path: Path) -> NetworkSegmenter:
    """Finds a person at A, surely, and a car in its lower half, less so."""
    path = boxes_model(
        tmp_path / "boxes.onnx",
        size=SIZE,
        classes=LABELS.names,
        found=[
            (0, 0.9, (5 / 60, 5 / 40, 25 / 60, 25 / 40)),
            (1, 0.6, (5 / 60, 15 / 40, 25 / 60, 25 / 40)),
        ],
    )
    model = load_model(path)
    return NetworkSegmenter(model.spec, open_backend(model))


def test_a_network_is_scored_and_drawn(
    data: DataSet, segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    data.add((PERSON, A))
    data.add((PERSON, A), (CAR, B))
    scoring = data.scoring()
    scored = evaluate(segmenter, scoring)
    assert scored.figures["classes"]["Person"]["ap50"] == {"mask": 1, "box": 1}
    assert scored.figures["classes"]["car"]["ap50"] == {"mask": 0, "box": 0}
    assert len(scored.infer_ms) == 2
    # Of the first: one right, one wrong, F1 2/3; of the second one missed as well, F1 1/2.
    assert [index for _, index in scored.worst] == [1, 0]
    assert [score for score, _ in scored.worst] == pytest.approx([1 / 2, 2 / 3])
    path = tmp_path / "worst.png"
    write_contact_sheet(path, scored.worst, scoring=scoring, segmenter=segmenter)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.shape[1] == 2 * 2 * TILE
    for color, (x, y) in (
        (HIT, (5, 12)),
        (MISSED, (35, 12)),
        (HIT, (65, 12)),
        (INVENTED, (65, 20)),
    ):
        assert sheet[y * TILE // 60, x * TILE // 60].tolist() == [*color]


def test_data_without_the_model_s_classes(data: DataSet) -> None:
    data.add((CAT, A))
    with pytest.raises(
        ConfigError, match=r"no annotation of a class the model has \(Person, car, unicorn\)$"
    ):
        data.scoring()
    data.rows["categories"] = [{"id": CAT, "name": "cat"}]
    with pytest.raises(ConfigError, match=r"its categories \(cat\) have none of the model's class"):
        data.scoring()


def test_a_picture_of_another_size_gets_one_line(data: DataSet) -> None:
    data.add((PERSON, A))
    with pytest.raises(ConfigError, match=r"json: 60x40, but its picture 0\.png is 50x40$"):
        data.scoring().add(0, result(size=Size(50, 40)))


def test_without_the_library_the_extra_is_named(
    data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.add((PERSON, A))
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(
        ConfigError, match=r"needs pycocotools; install it with: pip install 'edgeseg\[eval\]'$"
    ):
        data.scoring()
