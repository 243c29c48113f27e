"""A driving-scene run in miniature: it learns a drawn town, and resumes bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
from drawn_training_data import SCENE_COLORS, scene, write_scenes
from torch import Tensor, nn

from edgeseg.training.config import SceneConfig
from edgeseg.training.loop import Run, train
from edgeseg.training.scene.datasets import Scene
from edgeseg.training.scene.task import SceneTask, predicted_labels
from edgeseg.training.start import build_network, load_task
from edgeseg.types import Size


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On busy cores PyTorch's threads wait for one another: four times slower with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def town(**changes: object) -> SceneConfig:
    settings: dict[str, object] = {
        "arch": "driving",
        "epochs": 2,
        "warmup_epochs": 0,
        "cooldown_epochs": 1,
        "samples_per_epoch": 12,
        "batch_size": 4,
        "dataset": "town",
        "classes": 4,
        "rare": (3,),
        "pasted": (3,),
        "size": (64, 48),
        "cooldown_size": (64, 48),
        "validation_size": (64, 48),
        "loss": {"stride": 1},
    }
    return SceneConfig.model_validate(settings | changes)


def new_run(config: SceneConfig) -> Run:
    torch.manual_seed(0)
    return Run.start(build_network(config), config)


@pytest.mark.parametrize("arch", ["driving", "driving-icnet"])
def test_a_run_learns_and_resumes_bit_for_bit(arch: str, tmp_path: Path) -> None:
    write_scenes(tmp_path)
    config = town(arch=arch)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    straight, steps = new_run(config), list[float]()
    scores = train(
        straight, load_task(config, tmp_path), whole, progress=lambda _s, _n, x: steps.append(x)
    )
    assert list(scores) == ["miou", "class_0", "class_1", "class_2", "class_3"]
    assert np.mean(steps[-3:]) < np.mean(steps[:3])

    train(new_run(config), load_task(config, tmp_path), stopped, stop_after=1)
    second = new_run(config)
    second.restore(stopped / "last.pt")
    assert train(second, load_task(config, tmp_path), stopped) == scores
    for key, value in straight.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key


def test_mixed_precision_keeps_the_loss(tmp_path: Path) -> None:
    write_scenes(tmp_path)
    first = []
    for bfloat16 in (False, True):
        config = town(bfloat16=bfloat16, epochs=1, samples_per_epoch=4)
        losses: list[float] = []
        train(
            new_run(config), load_task(config, tmp_path), tmp_path,
            progress=lambda _s, _n, loss, losses=losses: losses.append(loss),  # type: ignore[misc]
        )  # fmt: skip
        first.append(losses[0])
    assert first[0] != first[1]
    assert first[1] == pytest.approx(first[0], rel=0.05)


class ColorReader(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A perfect network for the drawn town: the class whose colour is nearest, at stride 1."""

    def __init__(self) -> None:
        super().__init__()
        colors = torch.from_numpy(SCENE_COLORS).float() * (2 / 255) - 1
        self.colors = nn.Parameter(colors)

    def forward(self, image: Tensor) -> list[Tensor]:
        distance = (image[:, None] - self.colors[None, :, :, None, None]) ** 2
        return [-distance.sum(dim=2) * 100]


def scenes(seeds: range) -> list[Scene]:
    return [Scene(*scene(seed), name=str(seed)) for seed in seeds]


def test_a_perfect_network_scores_one_and_its_half_missing_class_shows() -> None:
    task = SceneTask(town(), scenes(range(4)), scenes(range(100, 104)))
    perfect = task.validate(ColorReader())
    assert perfect["miou"] == 1.0
    blind = ColorReader()
    with torch.no_grad():
        blind.colors[3] = 50.0  # sees no poles
    scores = task.validate(blind)
    assert scores["class_3"] == 0.0
    assert scores["miou"] == pytest.approx(np.mean([scores[f"class_{i}"] for i in range(4)]))


@pytest.mark.parametrize("size", [Size(64, 48), Size(128, 96), Size(51, 37)])
def test_labels_come_at_the_pictures_own_size(size: Size) -> None:
    image, labels = scene(0)
    predicted = predicted_labels(ColorReader(), image, size)
    assert predicted.shape == labels.shape
    assert predicted.dtype == np.uint8
    assert (predicted == labels).mean() > 0.9


def test_epochs_repeat_and_differ_and_end_in_the_cooldown_size() -> None:
    config = town(cooldown_size=(80, 64), samples_per_epoch=8)
    task = SceneTask(config, scenes(range(4)), [])
    first, again, last = (list(task.batches(epoch)) for epoch in (0, 0, 1))
    assert [tuple(images.shape) for images, _ in first] == [(4, 48, 64, 3)] * 2
    assert [tuple(images.shape) for images, _ in last] == [(4, 64, 80, 3)] * 2
    for (a, target_a), (b, target_b) in zip(first, again, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(target_a.labels, target_b.labels)
        assert target_a.phase == target_b.phase
    assert not torch.equal(first[0][0], first[1][0])


def test_a_class_that_no_picture_shows_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        task = SceneTask(town(classes=5, class_names=tuple("abcde")), scenes(range(4)), [])
    assert caplog.messages == ["no training picture shows e: it will not be learnt"]
    assert task.weights[4] == 0.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_run_on_a_gpu(tmp_path: Path, bfloat16: bool) -> None:
    write_scenes(tmp_path)
    config = town(bfloat16=bfloat16)
    torch.manual_seed(0)
    run = Run.start(build_network(config), config, torch.device("cuda"))
    assert train(run, load_task(config, tmp_path), tmp_path)["miou"] >= 0.0
