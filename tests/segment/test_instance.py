from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from tiny_heads import NETWORK, Arrays, geometry_for, head_spec, perfect_outputs

from edgeseg.errors import ModelError
from edgeseg.segment.decoders import decoder_for
from edgeseg.spec import Head, ModelSpec, Thresholds
from edgeseg.types import F32, Geometry, Instances, Rect, Size

FRAME = Size(192, 128)
BOX = Rect(40, 20, 120, 100)
DETECTORS: list[Head] = ["yolact", "yolo-seg", "maskrcnn"]


def decode(spec: ModelSpec, outputs: Arrays, frame: Size = FRAME) -> Instances:
    result = decoder_for(spec).decode(outputs, geometry_for(spec, frame))
    assert isinstance(result, Instances)
    return result


def perfect(head: Head, spec: ModelSpec | None = None, frame: Size = FRAME) -> Arrays:
    return perfect_outputs(head, geometry_for(spec or head_spec(head), frame), BOX)


def yolact_row(outputs: Arrays, row: int, **values: Any) -> Arrays:
    """The same outputs with one proposal changed."""
    changed = {name: value.copy() for name, value in outputs.items()}
    for name, value in values.items():
        changed[name][0, row] = value
    return changed


@pytest.mark.parametrize("head", DETECTORS)
def test_only_the_best_of_two_is_kept(head: Head) -> None:
    spec = head_spec(head, thresholds=Thresholds(most=1))
    outputs = perfect(head)
    if head == "yolact":  # a second object elsewhere
        away = {"box": [0.7, 0.7, 0.9, 0.9], "conf": [0.99, 0.0]}
        outputs = yolact_row(outputs, 3, **away)
        assert decode(head_spec(head), outputs).labels.tolist() == [0, 1]
        assert decode(spec, outputs).scores.tolist() == pytest.approx([0.99])
    assert len(decode(spec, outputs)) == 1


@pytest.mark.parametrize("head", DETECTORS)
def test_the_score_decides_who_counts(head: Head) -> None:
    outputs = perfect(head)
    assert len(decode(head_spec(head, thresholds=Thresholds(score=0.97)), outputs)) == 0
    many = decode(head_spec(head, thresholds=Thresholds(score=0.05, overlap=1)), outputs)
    assert len(many) > 1
    assert (many.scores >= 0.05).all()


def test_overlap_decides_what_is_one_object() -> None:
    for head in ("yolact", "yolo-seg"):
        outputs = perfect(head)
        assert len(decode(head_spec(head), outputs)) == 1
        kept = decode(head_spec(head, thresholds=Thresholds(overlap=0.999)), outputs)
        assert kept.scores.tolist() == pytest.approx([0.95, 0.9])


def test_a_background_column_is_no_class() -> None:
    outputs = perfect("yolact")
    conf = outputs["conf"]
    background = np.full((1, conf.shape[1], 1), 0.999, np.float32)
    outputs["conf"] = np.concatenate([background, conf], axis=2)
    result = decode(head_spec("yolact"), outputs)
    assert result.labels.tolist() == [1]
    np.testing.assert_allclose(result.boxes_xyxy, [BOX], atol=0.01)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_get_their_activation(activation: str) -> None:
    outputs = perfect("yolact")
    spec = head_spec("yolact")
    scores = next(o for o in spec.outputs if o.meaning == "scores")
    others = tuple(o for o in spec.outputs if o.meaning != "scores")
    changed = scores.model_copy(update={"activation": activation})
    spec = head_spec("yolact", outputs=(*others, changed))
    given = np.clip(outputs["conf"].astype(np.float64), 1e-6, None)
    if activation == "softmax":
        rest = 1 - given.sum(axis=2, keepdims=True)
        logits = np.log(np.concatenate([np.clip(rest, 1e-6, None), given], axis=2))
    else:
        logits = np.log(given / (1 - given))
    outputs["conf"] = logits.astype(np.float32)
    kept = outputs["conf"].copy()
    result = decode(spec, outputs)
    assert result.labels.tolist() == [1]
    assert result.scores[0] == pytest.approx(0.95, abs=1e-3)
    np.testing.assert_array_equal(outputs["conf"], kept)


@pytest.mark.parametrize("turn", ["v8", "turned", "v5"])
def test_yolo_tables_come_in_three_shapes(turn: str) -> None:
    outputs = perfect("yolo-seg")
    rows = outputs["det"][0]
    if turn == "turned":
        outputs["det"] = rows.T[None]
    elif turn == "v5":
        objectness = np.full((1, rows.shape[1]), 0.5, np.float32)
        outputs["det"] = np.concatenate([rows[:4], objectness, rows[4:]]).T[None]
    result = decode(head_spec("yolo-seg"), outputs)
    np.testing.assert_allclose(result.boxes_xyxy, [BOX], atol=0.01)
    assert result.scores[0] == pytest.approx(0.475 if turn == "v5" else 0.95)


def test_prototypes_in_either_layout_give_the_same_masks() -> None:
    spec = head_spec("yolact")
    planar = tuple(
        o.model_copy(update={"layout": "nchw"}) if o.meaning == "prototypes" else o
        for o in spec.outputs
    )
    outputs = perfect("yolact")
    last = decode(spec, outputs)
    outputs["proto"] = np.ascontiguousarray(outputs["proto"].transpose(0, 3, 1, 2))
    first = decode(head_spec("yolact", outputs=planar), outputs)
    np.testing.assert_array_equal(first.masks[0], last.masks[0])
    np.testing.assert_array_equal(first.areas_xyxy, last.areas_xyxy)


def test_a_mask_is_the_sigmoid_of_prototypes_times_coefficients_in_its_box() -> None:
    """A box from 10 to 61 at stride 4 touches prototype pixels 2 to 15."""
    outputs = perfect("yolact")
    rng = np.random.default_rng(5)
    coefficients = rng.normal(size=5).astype(np.float32)
    box = np.array([10, 10, 61, 51], np.float32) / np.tile(NETWORK, 2)
    outputs = yolact_row(outputs, 7, box=box, coef=coefficients)
    result = decode(head_spec("yolact"), outputs, NETWORK)
    logits = outputs["proto"][0, 2:13, 2:16].astype(np.float64) @ coefficients
    expected = 255 / (1 + np.exp(-logits))
    assert result.areas_xyxy.tolist() == [[8, 8, 64, 52]]
    np.testing.assert_allclose(result.masks[0], expected, atol=0.51)


@pytest.mark.parametrize("head", DETECTORS)
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_boxes_and_areas_end_at_the_frame(head: Head, fit: str) -> None:
    frame = Size(101, 97)
    spec = head_spec(head, fit=fit)
    geometry = geometry_for(spec, frame)
    beyond = Rect(-30, 60, 50, 140)
    result = decode(spec, perfect_outputs(head, geometry, beyond), frame)
    np.testing.assert_allclose(result.boxes_xyxy, [[0, 60, 50, 97]], atol=0.01)
    left, top, right, bottom = result.areas_xyxy[0]
    assert (left, bottom) == pytest.approx((0, 97))
    assert 50 < top <= 60
    assert 50 <= right < 60


@pytest.mark.parametrize("head", DETECTORS)
@pytest.mark.parametrize(
    "box",
    [Rect(300, 20, 350, 60), Rect(40, 20, 40, 60), Rect(60, 60, 50, 20), Rect(-50, -50, 0, 0)],
    ids=["outside", "no-width", "inside-out", "touching"],
)
def test_boxes_without_a_part_in_the_frame_are_dropped(head: Head, box: Rect) -> None:
    spec = head_spec(head)
    assert len(decode(spec, perfect_outputs(head, geometry_for(spec, FRAME), box))) == 0


@pytest.mark.parametrize("head", DETECTORS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_no_numbers_are_dropped_and_told_once(
    head: Head, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    spec = head_spec(head)
    decoder, geometry = decoder_for(spec), geometry_for(spec, FRAME)
    places = {
        "yolact": [("box", 7), ("conf", 7), ("coef", 7)],
        "yolo-seg": [("det", 0), ("det", 5), ("det", 8)],
        "maskrcnn": [("box", 0), ("conf", 0), ("mask", 0)],
    }[head]
    for name, row in places:
        outputs = perfect(head)
        if head == "yolo-seg":
            outputs[name][0, row, 7] = value
        else:
            (outputs[name] if head == "maskrcnn" else outputs[name][0])[row] = value
        result = decoder.decode(outputs, geometry)
        assert isinstance(result, Instances)
        assert np.isfinite(result.boxes_xyxy).all()
        assert np.isfinite(result.scores).all()
        assert len(result) == (0 if head == "maskrcnn" else 1)  # proposal 11 takes over
    with caplog.at_level(logging.WARNING):
        decoder.decode(outputs, geometry)
    told = [r for r in caplog.records if "hold NaN or infinity; such proposals" in r.getMessage()]
    assert len(told) == 1


def test_labels_of_mask_rcnn_count_a_background_only_where_the_card_does() -> None:
    outputs = perfect("maskrcnn")
    assert decode(head_spec("maskrcnn"), outputs).labels.tolist() == [1]
    plain = head_spec("maskrcnn", classes=("person", "bicycle", "car"))
    result = decode(plain, outputs)
    assert result.label_set.names[result.labels[0]] == "car"
    with pytest.raises(ModelError, match="gave label 2, the card's classes have numbers 0 to 1"):
        decode(head_spec("maskrcnn", classes=("person", "car")), outputs)
    outputs["lab"][0] = 0
    with pytest.raises(ModelError, match="gave label 0, the card's classes have numbers 1 to 2"):
        decode(head_spec("maskrcnn"), outputs)


def test_mask_rcnn_masks_over_the_whole_input() -> None:
    """As torchvision gives them: at the input's size, already pasted."""
    outputs = perfect("maskrcnn")
    small = decode(head_spec("maskrcnn"), outputs)
    whole = np.zeros((2, 1, NETWORK.height, NETWORK.width), np.float32)
    whole[0, 0, 10:50, 20:60] = 1
    outputs["mask"] = whole
    result = decode(head_spec("maskrcnn"), outputs)
    np.testing.assert_array_equal(result.boxes_xyxy, small.boxes_xyxy)
    assert result.masks[0].shape == (40, 40)
    assert (result.masks[0] == 255).all()
    assert result.areas_xyxy.tolist() == [list(BOX)]


def test_scores_above_one_by_rounding_are_one() -> None:
    outputs = yolact_row(perfect("yolact"), 7, conf=[0.0, 1.0001])
    assert decode(head_spec("yolact"), outputs).scores.tolist() == [1]


@pytest.mark.parametrize(
    ("head", "change", "message"),
    [
        ("yolact", {"box": (1, 30, 5)}, "'box' gave 5 numbers a proposal, expected 4: left, top"),
        ("yolact", {"conf": (1, 30, 5)}, "gave 5 numbers a proposal, expected 2 or 3: as the card"),
        ("yolact", {"coef": (1, 30, 6)}, "gave 6 numbers a proposal, expected 5: one per proto"),
        ("yolact", {"coef": (1, 29, 5)}, "gave 30, 30 and 29 proposals, expected as many of each"),
        ("yolact", {"box": (30, 4)}, "'box' gave shape 30x4, expected 1xNx..., a row a proposal"),
        ("yolact", {"proto": (16, 24, 5)}, "'proto' gave shape 16x24x5, expected prototypes of"),
        ("yolo-seg", {"det": (1, 12, 30)}, "gave shape 1x12x30, expected 1x11xN: 4 numbers for"),
        ("yolo-seg", {"proto": (2, 5, 16, 24)}, "gave shape 2x5x16x24, expected prototypes"),
        ("maskrcnn", {"lab": (3,)}, "gave boxes 2x4, labels 3, scores 2, masks 2x1x28x28; expect"),
        ("maskrcnn", {"mask": (2, 28, 28)}, "masks 2x28x28; expected boxes Nx4"),
        ("maskrcnn", {"conf": ()}, "expected boxes Nx4, labels N"),
    ],
)
def test_unusable_shapes_are_named(
    head: Head, change: dict[str, tuple[int, ...]], message: str
) -> None:
    outputs = perfect(head) | {k: np.zeros(shape, np.float32) for k, shape in change.items()}
    with pytest.raises(ModelError, match=message):
        decode(head_spec(head), outputs)


def test_untrained_networks_propose_everything_and_it_stays_bounded() -> None:
    rng = np.random.default_rng(0)
    count = 5000
    corners = rng.uniform(0, 0.9, (1, count, 2))
    outputs: Arrays = {
        "box": np.concatenate([corners, corners + 0.05], axis=2).astype(np.float32),
        "conf": rng.uniform(0.4, 1, (1, count, 2)).astype(np.float32),
        "coef": rng.normal(size=(1, count, 5)).astype(np.float32),
        "proto": rng.normal(size=(1, 16, 24, 5)).astype(np.float32),
    }
    result = decode(head_spec("yolact"), outputs)
    assert len(result) == 100
    best: F32 = np.sort(outputs["conf"].ravel())[::-1]
    assert result.scores[0] == best[0]


def test_outputs_are_bound_by_meaning_not_by_order() -> None:
    spec = head_spec("yolact")
    turned = head_spec("yolact", outputs=tuple(reversed(spec.outputs)))
    ours, same = decode(spec, perfect("yolact")), decode(turned, perfect("yolact"))
    np.testing.assert_array_equal(ours.boxes_xyxy, same.boxes_xyxy)


def test_the_geometry_of_a_result_is_the_frame_s() -> None:
    result = decode(head_spec("yolact"), perfect("yolact"))
    assert result.geometry == Geometry(FRAME, NETWORK, Rect(0, 0, *NETWORK))
    assert result.threshold == 0.5
