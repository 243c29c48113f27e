"""YOLACT's boxes, matching, losses, quick AP, and a run in miniature."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
from torch import nn

from edgeseg.models.yolact import (
    Raw,
    Yolact,
    YolactOutputs,
    anchors,
    decode_boxes,
    encode_boxes,
    level_sizes,
)
from edgeseg.training.config import InstanceAugment, InstanceConfig, InstanceLoss
from edgeseg.training.instance.evaluation import (
    Found,
    average_precision,
    find_objects,
    match_picture,
    strongest,
)
from edgeseg.training.instance.losses import (
    Objects,
    box_iou,
    focal_loss,
    instance_loss,
    mask_loss,
    match,
    semantic_loss,
)
from edgeseg.training.instance.objects import CutOut, ObjectPicture
from edgeseg.training.instance.task import InstanceTask, truth_of
from edgeseg.training.loop import Run, train
from edgeseg.types import Size

SIZE = Size(96, 64)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On busy cores PyTorch's threads wait for one another: many times slower with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(seed: int = 0) -> ObjectPicture:
    """A bright block (class 0) and a dark one (class 1) on grey."""
    rng = np.random.default_rng(seed)
    image = rng.integers(100, 140, (64, 96, 3), dtype=np.uint8)
    ids = np.zeros((64, 96), np.uint8)
    for k, (x, y, color) in enumerate([(6, 14, 250), (52, 18, 5)], start=1):
        x, y = x + int(rng.integers(0, 8)), y + int(rng.integers(0, 8))
        image[y : y + 32, x : x + 30] = color
        ids[y : y + 32, x : x + 30] = k
    return ObjectPicture(image, ids, (0, 1), (True, True), False, "drawn")


def raw_of(priors: torch.Tensor, classes: int = 2, prototypes: int = 4) -> Raw:
    n = len(priors)
    return Raw(
        torch.zeros(1, n, 4),
        torch.full((1, n, classes), -4.0),
        torch.zeros(1, n, prototypes),
        torch.ones(1, prototypes, 16, 24),
        torch.zeros(1, classes, 8, 12),
    )


def test_boxes_survive_encoding_and_decoding() -> None:
    priors = anchors(SIZE)
    boxes = torch.tensor([[3.0, 4.0, 40.0, 30.0]]).expand(len(priors), 4)
    back = decode_boxes(encode_boxes(boxes, priors), priors)
    assert torch.allclose(back, boxes, atol=1e-3)


@pytest.mark.parametrize("size", [Size(96, 64), Size(101, 67), Size(416, 320)])
def test_there_is_an_anchor_for_every_output_of_the_head(size: Size) -> None:
    network = Yolact(2).eval()
    with torch.inference_mode():
        raw = network(torch.zeros(1, 3, size.height, size.width))
    count = sum(3 * w * h for w, h in level_sizes(size))
    assert anchors(size).shape == (count, 4)
    assert raw.offsets.shape == (1, count, 4)
    assert raw.logits.shape == (1, count, 2)
    assert raw.coefficients.shape == (1, count, 24)
    assert raw.coefficients.abs().max() <= 1
    assert raw.prototypes.min() >= 0


def test_finished_outputs_are_normalised_boxes_and_probabilities() -> None:
    outputs = YolactOutputs(Yolact(2), SIZE).eval()
    with torch.inference_mode():
        boxes, scores, coefficients, prototypes = outputs(torch.zeros(1, 3, 64, 96))
    assert 0 <= scores.min() <= scores.max() <= 1
    assert prototypes.shape == (1, 16, 24, 24)
    assert coefficients.shape[2] == prototypes.shape[3]
    center = (boxes[0, :, :2] + boxes[0, :, 2:]) / 2
    expected = anchors(SIZE)[:, :2] / torch.tensor([96.0, 64.0])
    assert (center - expected).abs().max() < 0.5, "untrained boxes stay near their anchors"


def test_iou_by_hand() -> None:
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    b = torch.tensor([[2.0, 0.0, 6.0, 4.0], [4.0, 4.0, 5.0, 5.0], [0.0, 0.0, 4.0, 4.0]])
    assert box_iou(a, b)[0].tolist() == pytest.approx([8 / 24, 0.0, 1.0])


def test_every_object_gets_an_anchor_and_unjudged_places_none() -> None:
    priors = anchors(SIZE)
    picture = drawn()
    ids = picture.ids.copy()
    ids[:, 90:] = 255
    truth = truth_of(ObjectPicture(picture.image, ids, (0, 1), (True, True), False, "drawn"))
    which, state = match(priors, truth)
    assert set(which[state == 1].tolist()) == {0, 1}
    in_void = (priors[:, 0] >= 91) & (state != 1)
    assert (state[in_void] == -1).all()
    assert (state[(priors[:, 0] < 5) & (priors[:, 1] < 5) & (priors[:, 2] < 8)] == 0).all()


def test_far_from_a_lone_object_nothing_is_known() -> None:
    priors = anchors(SIZE)
    ids = np.zeros((64, 96), np.uint8)
    ids[20:40, 10:30] = 1
    truth = truth_of(ObjectPicture(drawn().image, ids, (1,), (False, True), True, "lone"))
    _, state = match(priors, truth)
    assert (state[priors[:, 0] > 60] == -1).all()
    assert (state == 0).any()


def test_focal_loss_by_hand() -> None:
    logits, target = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [0.0]])
    one = torch.ones(2, 1)
    expected = 0.25 * np.log(2) * (0.25 + 0.75)
    assert float(focal_loss(logits, target, one)) == pytest.approx(expected, rel=1e-5)
    assert float(focal_loss(logits, target, 0 * one)) == 0.0


def test_the_mask_loss_sees_the_box_only() -> None:
    truth = truth_of(drawn())
    inside = torch.zeros(1, 16, 24)
    inside[0, truth.ids[::4, ::4].long() == 1] = 1.0
    right = torch.stack([inside[0] * 6 - 3])
    which = torch.tensor([0])
    good = mask_loss(right, torch.ones(1, 1), which, truth)
    bad = mask_loss(-right, torch.ones(1, 1), which, truth)
    far = right.clone()
    far[0, :, 20:] = 50.0  # wrong, but outside the object's box
    assert float(good) < 0.6
    assert float(bad) > 2.0
    assert float(mask_loss(far, torch.ones(1, 1), which, truth)) == pytest.approx(float(good))


def test_unlabelled_classes_cost_nothing() -> None:
    priors = anchors(SIZE)
    ids = np.zeros((64, 96), np.uint8)
    empty = ObjectPicture(drawn().image, ids, (), (True, False), False, "people only")
    truth = truth_of(empty)
    raw = raw_of(priors)
    calm = float(instance_loss(raw, [truth], priors, InstanceLoss(semantic=0)))
    raw.logits[..., 1] = 9.0  # sure of cars everywhere, where cars were not labelled
    assert float(instance_loss(raw, [truth], priors, InstanceLoss(semantic=0))) == calm
    raw.logits[..., 0] = 9.0
    assert float(instance_loss(raw, [truth], priors, InstanceLoss(semantic=0))) > calm
    logits = torch.zeros(2, 8, 12)
    base = float(semantic_loss(logits, truth))
    logits[1] = 9.0
    assert float(semantic_loss(logits, truth)) == base


def test_a_person_is_no_car_even_where_cars_were_not_labelled() -> None:
    priors = anchors(SIZE)
    picture = drawn()
    people = ObjectPicture(
        picture.image,
        np.where(picture.ids == 1, 1, 0).astype(np.uint8),
        (0,),
        (True, False),
        False,
        "people only",
    )
    truth = truth_of(people)
    _, state = match(priors, truth)
    raw = raw_of(priors)
    calm = float(instance_loss(raw, [truth], priors, InstanceLoss(semantic=0)))
    raw.logits[0, state == 1, 1] = 9.0
    assert float(instance_loss(raw, [truth], priors, InstanceLoss(semantic=0))) > calm + 1


def test_average_precision_by_hand() -> None:
    hits = [(0.9, True), (0.8, False), (0.7, True)]
    assert average_precision(hits, 2) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(hits, 4) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert average_precision([], 3) == 0.0
    assert np.isnan(average_precision([], 0))


def test_an_object_is_found_once_and_unjudged_ground_is_free() -> None:
    picture = drawn()
    ids = picture.ids.copy()
    ids[:8, :8] = 255
    picture = ObjectPicture(picture.image, ids, picture.classes, (True, True), False, "drawn")
    corner = np.zeros_like(ids, bool)
    corner[:6, :6] = True
    found = [
        Found(0, 0.9, ids == 1),
        Found(0, 0.8, ids == 1),
        Found(0, 0.7, corner),
        Found(1, 0.6, ids == 2),
    ]
    assert match_picture(found, picture, 0) == [(0.9, True), (0.8, False)]
    assert match_picture(found, picture, 1) == [(0.6, True)]


def test_fast_nms_keeps_the_best_of_each_heap() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10], [0, 0, 10, 9.5]], np.float32)
    kept = strongest(boxes, np.array([0.5, 0.9, 0.3, 0.7], np.float32))
    assert kept.tolist() == [1, 2]
    assert strongest(boxes[:0], np.zeros(0, np.float32)).tolist() == []


class _Lookup(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A network that knows the drawn picture: anchors on objects fire, prototype k is object k."""

    def __init__(self, truth: Objects) -> None:
        super().__init__()
        self.truth = truth

    def forward(self, image: torch.Tensor) -> Raw:
        priors = anchors(SIZE)
        which, state = match(priors, self.truth)
        raw = raw_of(priors, prototypes=2)
        own = torch.eye(2)[which]
        raw.logits[0] = torch.where((state == 1)[:, None], own * 12 - 6, torch.tensor(-9.0))
        raw.offsets[0] = encode_boxes(self.truth.boxes_xyxy[which], priors)
        raw.coefficients[0] = own * 2 - 1
        masks = torch.stack([(self.truth.ids == k).float() for k in (1, 2)])
        raw.prototypes[0] = nn.functional.avg_pool2d(masks, 4) * 12
        return raw


def test_a_perfect_network_scores_one() -> None:
    picture = drawn()
    outputs = YolactOutputs(_Lookup(truth_of(picture)), SIZE)
    found = find_objects(outputs, picture.image, SIZE)
    for number in (0, 1):
        hits = match_picture(found, picture, number)
        assert average_precision(hits, 1) == 1.0


def test_a_miniature_run_learns_to_find_blocks(tmp_path: Path) -> None:
    config = InstanceConfig(
        arch="instances",
        epochs=8,
        cooldown_epochs=3,
        samples_per_epoch=16,
        batch_size=4,
        validate_every=8,
        mixture={"drawn": 1.0},
        size=(96, 64),
        cooldown_size=(96, 64),
        validation_size=(96, 64),
        chosen_by=("drawn_person", "drawn_car"),
        ema_decay=0.8,
        learning_rate=2e-3,
        augment=InstanceAugment(scale=(0.9, 1.1), aspect=(1.0, 1.0), paste=0.2),
    )
    torch.manual_seed(0)
    pictures = [drawn(i) for i in range(4)]
    things = {0: [CutOut(np.full((20, 12, 3), 250, np.uint8), np.full((20, 12), 255, np.uint8), 0)]}
    task = InstanceTask(config, pictures, pictures, things | {1: []})
    run = Run.start(Yolact(2), config)
    losses: list[float] = []
    scores = train(run, task, tmp_path, progress=lambda step, steps, loss: losses.append(loss))
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:4])
    assert set(scores) == {"ap50", "drawn_person", "drawn_car"}
