"""A whole training run in miniature: it learns, it resumes bit for bit, it reports."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch

from edgeseg.models import zoo
from edgeseg.training.config import TrainConfig, load_config
from edgeseg.training.datasets import Sample, SampleBank
from edgeseg.training.evaluation import evaluate
from edgeseg.training.loop import Run, learning_rate_factor, train

CONFIGS = Path(__file__).parents[2] / "configs" / "train"


def disc_sample(seed: int, source: str) -> Sample:
    """A bright disc, the person, on a dark noisy ground."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[0:64, 0:64]
    x, y, r = rng.uniform(20, 44), rng.uniform(20, 44), rng.uniform(10, 18)
    inside = (xs - x) ** 2 + (ys - y) ** 2 < r * r
    image = rng.integers(0, 60, (64, 64, 3)) + inside[..., None] * 150
    return Sample(image.astype(np.uint8), inside.astype(np.uint8), source)


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(
        arch="portrait-sinet",
        epochs=2,
        warmup_epochs=0.5,
        cooldown_epochs=1,
        samples_per_epoch=16,
        batch_size=4,
        sizes=(64,),
        cooldown_sizes=(64,),
        validation_size=64,
        mixture={"vik": 0.5, "ccp": 0.4, "none": 0.1},
    )


@pytest.fixture
def bank() -> SampleBank:
    samples = [disc_sample(i, ("vik", "ccp")[i % 2]) for i in range(6)]
    ground = np.random.default_rng(9).integers(0, 60, (64, 64, 3), np.uint8)
    return SampleBank(samples, [ground])


def new_run(config: TrainConfig) -> Run:
    torch.manual_seed(0)
    return Run.start(zoo.build(config.arch), config)


def test_training_learns_resumes_bit_equal_and_logs(
    config: TrainConfig, bank: SampleBank, tmp_path: Path
) -> None:
    validation = [disc_sample(100, "vik"), disc_sample(101, "ccp")]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    straight = new_run(config)
    steps: list[float] = []
    train(straight, bank, validation, whole, progress=lambda _s, _n, loss: steps.append(loss))
    assert np.mean(steps[-3:]) < np.mean(steps[:3])

    train(new_run(config), bank, validation, stopped, stop_after=1)
    second = new_run(config)
    second.restore(stopped / "last.pt")
    assert second.epoch == 1
    train(second, bank, validation, stopped)
    for ours, theirs in (
        (straight.network, second.network),
        (straight.averaged.network, second.averaged.network),
    ):
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key

    with (whole / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "macro_iou", "vik", "ccp"} <= set(rows[0])
    assert (whole / "best.pt").exists()


def test_a_finished_run_has_nothing_left(
    config: TrainConfig, bank: SampleBank, tmp_path: Path
) -> None:
    run = new_run(config)
    run.epoch = config.epochs
    assert train(run, bank, [], tmp_path) is None


def test_the_schedule_is_a_trapezoid(config: TrainConfig) -> None:
    config = config.model_copy(update={"epochs": 10, "warmup_epochs": 2, "cooldown_epochs": 4})
    factors = [learning_rate_factor(e, config) for e in (0, 1, 2, 5, 6, 8, 10)]
    assert factors == [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_settings_load(path: Path) -> None:
    assert load_config(path).arch in zoo.ARCHITECTURES


def test_scores_are_pooled_per_source_at_mask_resolution() -> None:
    right = disc_sample(0, "a")
    empty = Sample(right.image, np.zeros((64, 64), np.uint8), "a")
    other = disc_sample(1, "b")

    def everything(image: np.ndarray) -> np.ndarray:
        return np.ones((8, 8), np.float32)

    scores = evaluate(everything, [right, empty, other])
    assert scores.iou["a"] == pytest.approx(right.mask.mean() / 2)
    assert scores.iou["b"] == pytest.approx(other.mask.mean())
    assert scores.macro_iou == pytest.approx((scores.iou["a"] + scores.iou["b"]) / 2)
