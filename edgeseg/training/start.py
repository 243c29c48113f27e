"""Everything that can go wrong with a run, before it starts: one line each, by ConfigError.

A training takes hours. So the settings, the device, the picture sizes, the pretrained weights, the
folder of the run and every file of the data are checked first.
"""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from torch import nn

from edgeseg.errors import ConfigError, ModelError, near_match
from edgeseg.models import zoo
from edgeseg.models.importing.checkpoint import read_state
from edgeseg.spec import one_line
from edgeseg.training.config import InstanceConfig, PortraitConfig, SceneConfig, TrainConfig
from edgeseg.training.instance.task import InstanceTask
from edgeseg.training.loop import Run
from edgeseg.training.portrait.task import PortraitTask
from edgeseg.training.portrait.teacher import Ensemble
from edgeseg.training.scene.task import SceneTask
from edgeseg.training.task import Task


def choose_device(name: str, config: TrainConfig) -> torch.device:
    """The device called `name`: `cpu`, `cuda`, `cuda:1`, or `auto` for a GPU if there is one.

    Raises: ConfigError when there is no such device, or it cannot do what `config` asks.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device: no {name}; PyTorch {torch.__version__} sees {torch.cuda.device_count()} GPUs"
        )
    device = torch.device(name)
    if config.bfloat16 and kind == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError(f"bfloat16: {name} cannot do it; set bfloat16=false")
    return device


def build_network(config: TrainConfig) -> nn.Module:
    """A new network of the architecture and the classes that `config` names.

    Raises: ConfigError when it is not for this task, or refuses a size it will be shown.
    """
    zoo.architecture(config.arch, task=config.task)
    network = zoo.build(config.arch, _class_count(config)).eval()
    for width, height in config.sizes_met:
        try:
            with torch.inference_mode():
                network(torch.zeros((1, 3, height, width)))
        except RuntimeError as error:
            raise ConfigError(
                f"size {width}x{height}: {config.arch} cannot take it; try multiples of 32"
            ) from error
    return network


def _class_count(config: TrainConfig) -> int | None:
    if isinstance(config, SceneConfig):
        return config.classes
    return len(config.classes) if isinstance(config, InstanceConfig) else None


def load_task(config: TrainConfig, data: Path, teachers: list[Path] | None = None) -> Task:
    """The data and the loss that `config` asks for.

    Raises: ConfigError naming the first file of `data` that training could not use; ModelError for
        a teacher that is no model.
    """
    if not data.is_dir():
        raise ConfigError(f"{data}: no such folder; expected the one that holds the data sets")
    try:
        if isinstance(config, SceneConfig):
            return SceneTask.load(config, data)
        if isinstance(config, PortraitConfig):
            return PortraitTask.load(config, data, Ensemble(teachers) if teachers else None)
        return _load_instances(config, data)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; the data set needs it") from error


def _load_instances(config: InstanceConfig, data: Path) -> InstanceTask:
    if "person" not in config.classes:
        raise ConfigError(f"classes: expected person among them, got {', '.join(config.classes)}")
    task = InstanceTask.load(config, data)
    check_instances(task)
    return task


def check_instances(task: InstanceTask) -> None:
    """Make sure that what `task` is to draw and to be scored by exists.

    Raises: ConfigError naming the setting that asks for pictures which are not there.
    """
    config, sources = task.config, sorted(task.sources)
    for source in config.mixture:
        if source not in sources:
            raise ConfigError(
                f"mixture.{source}: no training picture of that source; there are "
                f"{', '.join(sources)}{near_match(source, sources)}"
            )
    scored = sorted(
        {
            f"{picture.source}_{config.classes[number]}"
            for picture in task.val
            for number in picture.classes
            if picture.labelled[number]
        }
    )
    for name in config.chosen_by:
        if name not in scored:
            raise ConfigError(
                f"chosen_by: no validation picture scores {name}; expected of "
                f"{', '.join(scored)}{near_match(name, scored)}"
            )


def start_run(config: TrainConfig, folder: Path, backbone: Path, device: torch.device) -> Run:
    """A new run from ImageNet weights, or the one that lies in `folder`, which is made.

    Raises:
        ConfigError: `folder` cannot be made or holds the run of another network.
        ModelError: `backbone` is not an ImageNet MobileNetV2.
    """
    network = build_network(config)
    fill_backbone(network, backbone)
    run = Run.start(network, config, device)
    if (folder / "last.pt").exists():
        run.restore(folder / "last.pt")
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(settings, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    return run


def fill_backbone(network: nn.Module, path: Path) -> None:
    """Start the encoder of `network` from the ImageNet weights at `path`.

    Raises: ModelError naming `path` and what was expected.
    """
    state = read_state(path)
    try:
        zoo.start_from_imagenet(network, state)
    except KeyError as error:
        raise ModelError(
            f"{path}: no {error.args[0]!r} in it; expected MobileNetV2 1.0 with torchvision's names"
        ) from error
    except (RuntimeError, IndexError) as error:
        raise ModelError(
            f"{path}: its shapes are not those of MobileNetV2 1.0: {one_line(error)}"
        ) from error
