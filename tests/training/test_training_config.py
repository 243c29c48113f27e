"""Settings of a run: every mistake is found before anything is loaded, with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.errors import ConfigError
from edgeseg.labels import CAMVID_NAMES
from edgeseg.training.config import PortraitConfig, SceneConfig, load_config, parse_config

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
DRIVING = CONFIGS / "driving.yaml"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_settings_load_and_survive_a_round_trip(path: Path) -> None:
    config = load_config(path)
    assert config.arch == path.stem
    assert config.sizes_met
    assert parse_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("epoch=3", r"epoch: unknown key; did you mean 'epochs'\?"),
        ("loss.lovas=1", r"loss\.lovas: unknown key; did you mean 'lovasz'\?"),
        ("los.lovasz=1", r"los: unknown key; did you mean 'loss'\?"),
        ("augment.photo.blurr=1", r"augment\.photo\.blurr: unknown key; did you mean 'blur'\?"),
        ("epochs=many", "epochs: should be a valid integer.*got 'many'"),
        ("epochs=0", "epochs: should be greater than or equal to 1, got 0"),
        ("loss.hardest=0", r"loss\.hardest: should be greater than 0"),
        ("augment.aim=1.5", r"augment\.aim: should be less than or equal to 1"),
        ("size=[320]", r"size\.1: missing"),
        ("size=[320, 0]", r"size\.1: should be greater than or equal to 16, got 0"),
        ("rare=[11]", "rare: 11, expected 0 to 10"),
        ("pasted=[1]", "pasted: 1 is not among rare"),
        ("class_names=[road, sky]", "class_names has 2 names, classes is 11"),
        ("batch_size=1000", "samples_per_epoch 368 is less than one batch of 1000"),
        ("task=scenes", r"task: expected portrait or .*, got 'scenes'; did you mean 'scene'\?"),
        ("epochs", "--set epochs: expected KEY=VALUE"),
        ("epochs.more=1", "--set epochs.more=1: epochs is a value, not a section"),
    ],
)
def test_a_wrong_setting_is_one_line_with_a_hint(change: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(DRIVING, [change])
    assert "\n" not in str(caught.value)


def test_settings_can_be_changed_in_place() -> None:
    config = load_config(DRIVING, ["epochs=3", "loss.lovasz=0.5", "size=[64, 48]"])
    assert isinstance(config, SceneConfig)
    assert (config.epochs, config.loss.lovasz, config.size) == (3, 0.5, (64, 48))


def test_a_portrait_run_needs_a_mixture() -> None:
    with pytest.raises(ConfigError, match="mixture: missing"):
        parse_config({"arch": "portrait", "epochs": 1})
    with pytest.raises(ConfigError, match="mixture: every share is 0"):
        parse_config({"arch": "portrait", "epochs": 1, "mixture": {"vik": 0}})
    assert isinstance(
        parse_config({"arch": "portrait", "epochs": 1, "mixture": {"vik": 1}}), PortraitConfig
    )


def test_classes_are_named_where_they_are_known() -> None:
    assert SceneConfig(arch="a", epochs=1).names == CAMVID_NAMES
    other = SceneConfig(arch="a", epochs=1, dataset="town", classes=2, rare=(), pasted=())
    assert other.names == ("class 0", "class 1")
    named = other.model_copy(update={"class_names": ("road", "sky")})
    assert named.score_names == {"class_0": "road", "class_1": "sky"}


def test_sizes_met_are_all_the_network_will_see() -> None:
    scene = SceneConfig(arch="a", epochs=1, size=(64, 48), cooldown_size=(96, 64))
    assert scene.sizes_met == ((64, 48), (96, 64), (480, 360))
    portrait = PortraitConfig(
        arch="a", epochs=1, mixture={"vik": 1}, sizes=(64,), cooldown_sizes=(96, 64)
    )
    assert portrait.sizes_met == ((64, 64), (96, 96), (224, 224))
