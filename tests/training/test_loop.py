"""The loop: schedule, averages, checkpoints, logs, and a portrait run in miniature."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
from drawn_training_data import disc
from torch import Tensor, nn

from edgeseg.errors import ConfigError, EdgesegError
from edgeseg.models import zoo
from edgeseg.training.config import PortraitConfig, Schedule
from edgeseg.training.loop import (
    AveragedWeights,
    Run,
    learning_rate_factor,
    make_optimizer,
    seeded,
    train,
    train_epoch,
)
from edgeseg.training.portrait.datasets import Sample, SampleBank
from edgeseg.training.portrait.evaluation import evaluate
from edgeseg.training.portrait.task import PortraitTask


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On busy cores PyTorch's threads wait for one another: four times slower with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def disc_sample(seed: int, source: str) -> Sample:
    return Sample(*disc(seed), source)


@pytest.fixture
def config() -> PortraitConfig:
    return PortraitConfig(
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
def task(config: PortraitConfig) -> PortraitTask:
    samples = [disc_sample(i, ("vik", "ccp")[i % 2]) for i in range(6)]
    ground = np.random.default_rng(9).integers(0, 60, (64, 64, 3), np.uint8)
    validation = [disc_sample(100, "vik"), disc_sample(101, "ccp")]
    return PortraitTask(config, SampleBank(samples, [ground]), validation)


def new_run(config: PortraitConfig) -> Run:
    torch.manual_seed(0)
    return Run.start(zoo.build(config.arch), config)


def test_training_learns_resumes_bit_equal_and_logs(
    config: PortraitConfig, task: PortraitTask, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    straight = new_run(config)
    steps: list[float] = []
    epochs: list[int] = []
    scores = train(
        straight,
        task,
        whole,
        progress=lambda _s, _n, loss: steps.append(loss),
        scored=lambda epoch, _loss, _scores: epochs.append(epoch),
    )
    assert np.mean(steps[-3:]) < np.mean(steps[:3])
    assert list(scores) == ["macro_iou", "ccp", "vik"]
    assert epochs == [1, 2]

    train(new_run(config), task, stopped, stop_after=1)
    second = new_run(config)
    second.restore(stopped / "last.pt")
    assert second.epoch == 1
    train(second, task, stopped)
    for ours, theirs in (
        (straight.network, second.network),
        (straight.averaged.network, second.averaged.network),
    ):
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key

    with (whole / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == ["epoch", "loss", "macro_iou", "ccp", "vik"]
    assert (whole / "best.pt").exists()


def test_a_finished_run_has_nothing_left(
    config: PortraitConfig, task: PortraitTask, tmp_path: Path
) -> None:
    run = new_run(config)
    run.epoch = config.epochs
    assert train(run, task, tmp_path) == {}
    assert not list(tmp_path.iterdir())


def test_the_schedule_is_a_trapezoid(config: PortraitConfig) -> None:
    config = config.model_copy(update={"epochs": 10, "warmup_epochs": 2, "cooldown_epochs": 4})
    factors = [learning_rate_factor(e, config) for e in (0, 1, 2, 5, 6, 8, 10)]
    assert factors == [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    assert [config.cooling(e) for e in (5, 6, 9)] == [False, True, True]


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


class Doubler(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A backbone of one weight and a head of one weight with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 1, 1, bias=False)
        self.head = nn.Conv2d(1, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        y: Tensor = self.head(self.backbone(image))
        return y


class Constant:
    """A task whose loss is the mean output times `factor`, and whose scores are given."""

    def __init__(self, factor: float = 1.0, scores: tuple[float, ...] = ()) -> None:
        self.factor = factor
        self.scores = list(scores)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(2):
            yield torch.full((2, 4, 4, 3), 200, dtype=torch.uint8), torch.zeros(2)

    def loss(self, outputs: Tensor, targets: Tensor, images: Tensor) -> Tensor:
        return outputs.float().mean() * self.factor

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {"miou": self.scores.pop(0), "class_0": 0.5}


def short(**changes: object) -> Schedule:
    settings = {"arch": "doubler", "epochs": 4, "samples_per_epoch": 4, "batch_size": 2}
    return Schedule.model_validate(settings | changes)


def test_backbone_learns_slower_and_biases_do_not_decay() -> None:
    optimizer = make_optimizer(Doubler(), short(backbone_scale=0.25, weight_decay=0.1))
    groups = {
        tuple(tuple(p.shape) for p in group["params"]): (group["scale"], group["weight_decay"])
        for group in optimizer.param_groups
    }
    assert groups == {
        ((1, 3, 1, 1),): (0.25, 0.1),
        ((1, 1, 1, 1),): (1.0, 0.1),
        ((1,),): (1.0, 0.0),
    }


def test_averages_start_fast_and_end_slow() -> None:
    network = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedWeights(network, decay=0.5)
    nn.init.ones_(network.weight)
    averaged.update(network)
    missing = [1 - averaged.network.weight.item()]
    for _ in range(9):
        averaged.update(network)
        missing.append(1 - averaged.network.weight.item())
    assert missing[0] == pytest.approx(2 / 11, rel=1e-4)
    assert missing[1] == pytest.approx(missing[0] * 3 / 12, rel=1e-4)
    assert missing[-1] == pytest.approx(missing[-2] / 2, rel=1e-2)


def test_the_best_checkpoint_is_that_of_the_best_score(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = Run.start(Doubler(), short())
    train(run, Constant(scores=(0.2, 0.7, 0.4, 0.6)), tmp_path)
    assert torch.load(tmp_path / "best.pt", weights_only=True)["epoch"] == 2
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 4
    assert run.best == 0.7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.pt", "last.pt", "log.csv"]


def test_unvalidated_epochs_are_saved_but_not_logged(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    run = Run.start(Doubler(), short(epochs=3, validate_every=2))
    last = train(
        run,
        Constant(scores=(0.2, 0.1)),
        tmp_path,
        scored=lambda _e, _l, scores: seen.append(scores),
    )
    assert [bool(scores) for scores in seen] == [False, True, True]
    assert last == {"miou": 0.1, "class_0": 0.5}
    assert len((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    tmp_path: Path,
) -> None:
    run = Run.start(Doubler(), short())
    train(run, Constant(scores=(0.2,)), tmp_path, stop_after=1)
    with pytest.raises(EdgesegError, match=r"loss is nan in step 1 of epoch 2; .*learning_rate"):
        train(run, Constant(factor=float("nan")), tmp_path)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 1


def test_a_checkpoint_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    run = Run.start(Doubler(), short())
    run.save(path)
    with pytest.raises(ConfigError, match=r"last\.pt: a run of 'doubler', .* asks for 'driving'"):
        Run.start(Doubler(), short(arch="driving")).restore(path)
    with pytest.raises(ConfigError, match=r"last\.pt: its weights are not those of 'doubler'"):
        Run.start(nn.Conv2d(3, 1, 1), short()).restore(path)
    path.write_bytes(b"torn")
    with pytest.raises(ConfigError, match=r"last\.pt: not a checkpoint of a training run"):
        run.restore(path)


def test_random_numbers_depend_on_seed_and_epoch_alone() -> None:
    cpu = torch.device("cpu")

    def drawn(seed: int, epoch: int) -> list[float]:
        with seeded(seed, epoch, cpu):
            return list(torch.rand(3).tolist())

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = drawn(1, 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    assert drawn(1, 2) == first
    assert drawn(1, 3) != first
    assert drawn(2, 2) != first


@pytest.mark.parametrize("bfloat16", [False, True])
def test_mixed_precision_trains_float32_weights(bfloat16: bool) -> None:
    torch.manual_seed(0)
    run = Run.start(Doubler(), short(bfloat16=bfloat16, warmup_epochs=0))
    types: list[torch.dtype] = []
    run.network.register_forward_hook(lambda _m, _i, output: types.append(output.dtype))
    before = run.network.get_submodule("head").weight.clone()
    train_epoch(run, Constant())
    assert set(types) == {torch.bfloat16 if bfloat16 else torch.float32}
    assert run.network.get_submodule("head").weight.dtype == torch.float32
    assert not torch.equal(run.network.get_submodule("head").weight, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_run_on_a_gpu_continues_on_a_cpu(
    config: PortraitConfig, task: PortraitTask, tmp_path: Path, bfloat16: bool
) -> None:
    config = config.model_copy(update={"bfloat16": bfloat16})
    torch.manual_seed(0)
    run = Run.start(zoo.build(config.arch), config, torch.device("cuda"))
    train(run, task, tmp_path, stop_after=1)
    assert next(run.network.parameters()).is_cuda
    resumed = new_run(config)
    resumed.restore(tmp_path / "last.pt")
    assert train(resumed, task, tmp_path)["macro_iou"] >= 0.0
