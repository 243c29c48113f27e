"""What is checked before a run starts, and `tools/train.py` around it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the [train] extra (PyTorch)")

import torch
import yaml
from drawn_training_data import write_portraits, write_scenes

from edgeseg.errors import ConfigError, ModelError
from edgeseg.models.mobilenetv2 import MobileNetV2Features
from edgeseg.training.config import (
    InstanceConfig,
    PortraitConfig,
    SceneConfig,
    TrainConfig,
    parse_config,
)
from edgeseg.training.instance.objects import ObjectPicture
from edgeseg.training.instance.task import InstanceTask
from edgeseg.training.portrait.task import PortraitTask
from edgeseg.training.start import (
    build_network,
    check_instances,
    choose_device,
    fill_backbone,
    load_task,
    start_run,
)

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from train import main as train_tool  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def portrait(**changes: object) -> PortraitConfig:
    settings = {
        "arch": "portrait-sinet",
        "epochs": 1,
        "sizes": (64,),
        "cooldown_sizes": (64,),
        "validation_size": 64,
        "mixture": {"vik": 1, "ccp": 1, "none": 1},
    }
    return PortraitConfig.model_validate(settings | changes)


def scene(**changes: object) -> SceneConfig:
    settings = {
        "arch": "driving-icnet",
        "epochs": 1,
        "samples_per_epoch": 4,
        "batch_size": 2,
        "dataset": "town",
        "classes": 4,
        "rare": (3,),
        "pasted": (3,),
        "size": (64, 48),
        "cooldown_size": (64, 48),
        "validation_size": (64, 48),
    }
    return SceneConfig.model_validate(settings | changes)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained MobileNetV2 as a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "mobilenetv2.pth"
    torch.save(MobileNetV2Features(17).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpu", "device: expected auto, cpu, cuda or cuda:N, got 'gpu'"),
        ("cuda:x", "device: expected auto"),
        ("cuda:99", r"device: no cuda:99; PyTorch .* sees \d+ GPUs"),
    ],
)
def test_a_device_that_is_not_there_is_named(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        choose_device(name, scene())


def test_devices_that_are_there() -> None:
    assert choose_device("cpu", scene(bfloat16=True)) == CPU
    assert choose_device("auto", scene()).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (portrait(arch="portrat"), r"arch: .*got 'portrat'; did you mean 'portrait'\?"),
        (portrait(arch="driving"), "arch: .* for portrait, got 'driving', which is for scene"),
        (scene(arch="portrait"), "arch: .* for scene, got 'portrait', which is for portrait"),
        (portrait(sizes=(64, 100)), "size 100x100: portrait-sinet cannot take it"),
    ],
)
def test_an_architecture_that_does_not_fit_is_named(config: TrainConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_network(config)


def test_a_network_has_the_classes_of_its_data() -> None:
    logits = build_network(scene())(torch.zeros((1, 3, 48, 64)))
    assert [logit.shape[1] for logit in logits] == [4, 4, 4]


def test_a_backbone_that_is_none_is_named(tmp_path: Path, backbone: Path) -> None:
    network = build_network(portrait())
    with pytest.raises(ModelError, match=r"nowhere\.pth: cannot read the checkpoint: No such file"):
        fill_backbone(network, tmp_path / "nowhere.pth")
    path = tmp_path / "other.pth"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=r"other\.pth: is not a PyTorch checkpoint"):
        fill_backbone(network, path)
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"other\.pth: no 'features\..*expected MobileNetV2 1\.0"):
        fill_backbone(network, path)
    narrow = torch.load(backbone, weights_only=True)
    narrow["features.0.0.weight"] = torch.zeros(16, 3, 3, 3)
    torch.save(narrow, path)
    with pytest.raises(ModelError, match=r"other\.pth: its shapes are not those of MobileNetV2"):
        fill_backbone(network, path)


def test_a_run_that_lies_there_is_continued_and_another_one_refused(
    tmp_path: Path, backbone: Path
) -> None:
    run = start_run(portrait(), tmp_path / "run", backbone, CPU)
    run.epoch, run.best = 7, 0.5
    run.save(tmp_path / "run" / "last.pt")
    again = start_run(portrait(epochs=9), tmp_path / "run", backbone, CPU)
    assert (again.epoch, again.best, again.config.epochs) == (7, 0.5, 9)
    with pytest.raises(ConfigError, match=r"last\.pt: a run of 'portrait-sinet', .*another folder"):
        start_run(portrait(arch="portrait"), tmp_path / "run", backbone, CPU)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, backbone: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file: cannot be written"):
        start_run(portrait(), tmp_path / "file", backbone, CPU)


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        load_task(scene(), tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="town/train/images: no such folder"):
        load_task(scene(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"mixture": {"vik": 1, "celeb": 1}},
            r"mixture\.celeb: no training picture of that source; there are ccp, pennfudan, vik",
        ),
        ({"mixture": {"vikk": 1}}, r"mixture\.vikk: .*; did you mean 'vik'\?"),
    ],
)
def test_a_source_without_pictures_is_named(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    write_portraits(tmp_path)
    with pytest.raises(ConfigError, match=said):
        load_task(portrait(**changes), tmp_path)


def test_augmentation_that_needs_missing_pictures_is_named(tmp_path: Path) -> None:
    write_portraits(tmp_path)
    folder = tmp_path / "portrait" / "train"
    for part in ("images", "masks"):
        for path in list((folder / part).iterdir()):
            path.rename(path.with_name(f"own_{path.name}"))
    with pytest.raises(ConfigError, match=r"augment\.second_person: .* celeb or meow.*set it to 0"):
        load_task(portrait(mixture={"own": 1}), tmp_path)
    off = {"second_person": 0.0, "bystanders": 0.0}
    task = load_task(portrait(mixture={"own": 1}, augment=off, cooldown_augment=off), tmp_path)
    assert isinstance(task, PortraitTask)


def objects(source: str, *classes: int) -> ObjectPicture:
    """A picture of `source` with an object of each of `classes`; only people are labelled."""
    image = np.zeros((8, 8, 3), np.uint8)
    return ObjectPicture(image, image[..., 0], classes, (True, False), False, source)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mixture": {"streets": 1}}, r"mixture\.streets: no training .*; did you mean 'street'\?"),
        ({"chosen_by": ("street_car",)}, "chosen_by: no validation .* street_car; expected of st"),
        ({"chosen_by": ("room_person",)}, "chosen_by: .*; expected of street_person"),
    ],
)
def test_instance_settings_without_pictures_are_named(
    changes: dict[str, object], said: str
) -> None:
    settings: dict[str, object] = {
        "arch": "instances", "epochs": 1, "mixture": {"street": 1}, "chosen_by": ("street_person",),
    }  # fmt: skip
    train, val = [objects("street")], [objects("street", 0, 1), objects("room")]
    check_instances(InstanceTask(InstanceConfig.model_validate(settings), train, val, {}))
    config = InstanceConfig.model_validate(settings | changes)
    with pytest.raises(ConfigError, match=said):
        check_instances(InstanceTask(config, train, val, {}))


def test_instances_without_people_or_data_are_named(tmp_path: Path) -> None:
    config = InstanceConfig(arch="instances", epochs=1, mixture={"street": 1}, classes=("car",))
    with pytest.raises(ConfigError, match="classes: expected person among them, got car"):
        load_task(config, tmp_path)
    config = InstanceConfig(arch="instances", epochs=1, mixture={"street": 1})
    with pytest.raises(ConfigError, match="instances"):
        load_task(config, tmp_path)


def write_settings(path: Path, config: TrainConfig) -> Path:
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    assert parse_config(yaml.safe_load(path.read_text(encoding="utf-8"))) == config
    return path


def test_the_tool_trains_reports_and_continues(
    tmp_path: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "data")
    settings = write_settings(tmp_path / "town.yaml", scene(epochs=2))
    words = [
        settings,
        "--data",
        tmp_path / "data",
        "--backbone",
        backbone,
        "--out",
        tmp_path / "run",
    ]
    words += ["--device", "cpu", "--threads", 1]
    assert train_tool([*map(str, words), "--stop-after", "1"]) == 0
    said = capsys.readouterr().err
    assert "epoch 1/1: loss" in said
    assert "miou" in said
    assert train_tool([str(word) for word in words]) == 0
    assert "epoch 2/2: loss" in (said := capsys.readouterr().err)
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files >= {"last.pt", "best.pt", "log.csv", "config.yaml"}
    if "curves.png" not in files:
        assert "install the [train] extra" in said


def test_the_tool_ends_with_one_line_and_exit_code_2(tmp_path: Path, backbone: Path) -> None:
    folder = write_scenes(tmp_path / "data")
    bad = np.full((48, 64), 9, np.uint8)
    cv2.imwrite(filename=str(folder / "val" / "labels" / "101.png"), img=bad)
    settings = write_settings(tmp_path / "town.yaml", scene())
    command = [sys.executable, ROOT / "tools" / "train.py", settings, "--backbone", backbone]
    command += ["--data", tmp_path / "data", "--out", tmp_path / "run", "--threads", 1]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {folder}/val/labels/101.png: label 9, expected 0 to 3, 4 for void or 255"
    ]
    assert not (tmp_path / "run" / "last.pt").exists()


def test_a_mistyped_setting_gets_a_hint(
    tmp_path: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_settings(tmp_path / "town.yaml", scene())
    words = [settings, "--data", tmp_path, "--backbone", backbone, "--out", tmp_path / "run"]
    assert train_tool([*map(str, words), "--set", "epoch=3"]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {settings}: epoch: unknown key; did you mean 'epochs'?\n"
    assert not (tmp_path / "run").exists()
