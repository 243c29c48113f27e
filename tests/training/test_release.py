"""From a checkpoint to a shipped file: card against network, figures into the card."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import torch
from drawn_training_data import write_portraits

from edgeseg.errors import ConfigError, SpecMismatch
from edgeseg.labels import CAMVID
from edgeseg.model_file import load_model
from edgeseg.spec import MEANINGS, InputSpec, ModelSpec, OutputSpec
from edgeseg.training.config import InstanceConfig, PortraitConfig, SceneConfig, TrainConfig
from edgeseg.training.loop import Run
from edgeseg.training.release import (
    deployed,
    eval_figures,
    load_trained,
    speed_figures,
    with_checkpoint,
)
from edgeseg.training.start import build_network
from edgeseg.types import Size

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from export import main, size_of  # noqa: E402

SCENE = SceneConfig(arch="driving-icnet", epochs=1, validation_size=(96, 64), size=(96, 64))
PORTRAIT = PortraitConfig(arch="portrait-sinet", epochs=1, mixture={"vik": 1}, sizes=(64,))
CARD = ModelSpec(
    name="driving-icnet",
    task="semantic",
    input=InputSpec(name="image", size=Size(96, 64)),
    outputs=(OutputSpec(name="scores", meaning="scores"),),
    classes=CAMVID.names,
    palette=CAMVID.colors,
    licence="for tests",
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def checkpoint(path: Path, config: TrainConfig) -> Path:
    torch.manual_seed(0)
    Run.start(build_network(config), config).save(path)
    return path


def test_a_scene_goes_from_checkpoint_to_scored_file(tmp_path: Path) -> None:
    best = checkpoint(tmp_path / "best.pt", SCENE)
    model, card = tmp_path / "driving-icnet.onnx", tmp_path / "driving-icnet.yaml"
    card.write_text(CARD.to_card(), encoding="utf-8")
    assert main([str(best), str(model), "--half-weights", "--size", "128x96"]) == 0
    spec = load_model(model).spec
    assert spec.input.size == Size(128, 96)
    assert spec == ModelSpec.from_card(card)
    assert spec.metrics["parameters"] > 1_000_000
    assert spec.source_sha256 == hashlib.sha256(best.read_bytes()).hexdigest()

    scores, speed = tmp_path / "R.json", tmp_path / "T.json"
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    report: dict[str, Any] = {
        "model": {"sha256": sha256}, "data": "/some/where/camvid", "split": "val", "images": 101,
        "miou": 0.701234, "iou": {"sky": 0.91239, "road": None}, "boundary_f": None, "dice": {},
    }  # fmt: skip
    scores.write_text(json.dumps(report), encoding="utf-8")
    timed = {
        "device": "CPU", "threads": 1, "onnxruntime": "1.31", "date": "2026-11-20",
        "models": {"driving": {"median_ms": 90.0}, "driving-icnet": {"median_ms": 36.0}},
    }  # fmt: skip
    speed.write_text(json.dumps(timed), encoding="utf-8")
    words = [str(best), str(model), "--half-weights", "--scores", str(scores)]
    assert main([*words, "--speed", str(speed)]) == 0
    metrics = load_model(model).spec.metrics
    assert (metrics["split"], metrics["size"], metrics["images"]) == ("camvid/val", "128x96", 101)
    assert metrics["miou"] == 0.7012
    assert metrics["iou"] == {"sky": 0.9124, "road": None}
    assert "boundary_f" not in metrics
    assert metrics["speed"] == {
        "median_ms": 36.0,
        "device": "CPU, 1 thread, ONNX Runtime 1.31",
        "date": "2026-11-20",
        "references_same_run_ms": {"driving": 90.0},
    }
    assert main(words) == 2  # the file is another one now


def test_a_portrait_is_scored_as_it_is_exported(tmp_path: Path) -> None:
    write_portraits(tmp_path)
    best = checkpoint(tmp_path / "best.pt", PORTRAIT)
    card = ModelSpec(
        name="p",
        input=InputSpec(name="image", size=Size(1, 1)),
        outputs=(OutputSpec(name="person"),),
        licence="for tests",
    )
    (tmp_path / "p.yaml").write_text(card.to_card(), encoding="utf-8")
    words = [str(best), str(tmp_path / "p.onnx"), "--size", "64", "--data", str(tmp_path)]
    assert main(words) == 0
    metrics = load_model(tmp_path / "p.onnx").spec.metrics
    assert (metrics["split"], metrics["images"]) == ("portrait/val", 4)
    assert set(metrics["person_iou"]) == {"ccp", "vik"}
    first = (tmp_path / "p.onnx").read_bytes()
    assert main(words) == 0
    assert (tmp_path / "p.onnx").read_bytes() == first


def test_instances_have_four_outputs_and_a_card_that_misplaces_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = InstanceConfig(arch="instances", epochs=1, mixture={"street": 1}, size=(96, 64))
    best = checkpoint(tmp_path / "best.pt", config)
    outputs = tuple(OutputSpec(name=meaning, meaning=meaning) for meaning in MEANINGS["yolact"])
    card = ModelSpec(
        name="i", task="instance", outputs=outputs, classes=("person", "car"),
        input=InputSpec(name="image", size=Size(96, 64)), licence="for tests",
    )  # fmt: skip
    path = tmp_path / "i.yaml"
    path.write_text(card.to_card(), encoding="utf-8")
    assert main([str(best), str(tmp_path / "i.onnx")]) == 2
    assert "'prototypes'" in (said := capsys.readouterr().err)
    assert "layout should be nhwc" in said

    last = outputs[3].model_copy(update={"layout": "nhwc"})
    card = card.model_copy(update={"outputs": (*outputs[:3], last)})
    path.write_text(card.to_card(), encoding="utf-8")
    assert main([str(best), str(tmp_path / "i.onnx")]) == 0
    found = load_model(tmp_path / "i.onnx").spec.metrics["onnx_max_abs_difference"]
    assert list(found) == ["boxes", "scores", "coefficients", "prototypes"]


def test_a_card_of_something_else_is_refused(tmp_path: Path) -> None:
    network, config = load_trained(checkpoint(tmp_path / "best.pt", SCENE))
    with pytest.raises(SpecMismatch, match="driving-icnet: 2 classes, the network tells 11 apart"):
        deployed(network, config, CARD.model_copy(update={"classes": ("a", "b")}))
    portrait = CARD.model_copy(update={"task": "portrait"})
    with pytest.raises(SpecMismatch, match="task portrait, the network is for semantic"):
        deployed(network, config, portrait)


def test_scores_of_other_weights_are_dropped_from_the_card(tmp_path: Path) -> None:
    best = checkpoint(tmp_path / "best.pt", SCENE)
    network, _ = load_trained(best)
    old = CARD.model_copy(
        update={"metrics": {"miou": 0.5, "speed": {"median_ms": 3.0}}, "source_sha256": "other"}
    )
    new = with_checkpoint(old, best, network)
    assert list(new.metrics) == ["parameters", "speed"]
    kept = new.model_copy(update={"metrics": dict(new.metrics) | {"miou": 0.6}})
    assert with_checkpoint(kept, best, network) == kept


def test_what_is_no_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"weights\.pt: not a (whole )?checkpoint"):
        load_trained(path)
    assert main([str(path), str(tmp_path / "m.onnx")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1


def test_reports_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model, report = tmp_path / "m.onnx", tmp_path / "R.json"
    model.write_bytes(b"model")
    report.write_text('{"model": {"sha256": "0"}, "data": "d"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"R\.json: scored another file than .*run edgeseg eval"):
        eval_figures(report, model, CARD)
    report.write_text("no json", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"R\.json: not a readable JSON report"):
        eval_figures(report, model, CARD)
    report.write_text('{"models": {"a": {}}}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"R\.json: times a, not m"):
        speed_figures(report, "m")


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("480x360", (480, 360))])
def test_sizes_are_a_side_or_width_by_height(text: str, size: tuple[int, int]) -> None:
    assert size_of(text) == size
