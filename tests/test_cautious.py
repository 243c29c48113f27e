"""Where people are hidden, a run errs on the side of hiding."""

from __future__ import annotations

from pathlib import Path

from tiny_onnx import tiny_model

from edgeseg.assemble import cautious, make_smoother, model_choices, open_model
from edgeseg.config import EffectConfig, ModelConfig, RunConfig
from edgeseg.effects import make_effect
from edgeseg.model_file import load_model, shipped_models
from edgeseg.segment import KeepResult, NetworkSegmenter, PresenceGate
from edgeseg.spec import Build


def test_half_the_least_score_where_objects_are_hidden() -> None:
    file = load_model("portrait")
    usual = ModelConfig()
    for name in ("overlay", "blur", "none", "side-by-side"):
        assert cautious(usual, make_effect(name), file) is usual
    for name in ("anonymize", "side-by-side=anonymize=blur"):
        hiding = cautious(usual, make_effect(name), file)
        assert hiding.score == file.spec.thresholds.score / 2
    asked = ModelConfig(score=0.7)
    assert cautious(asked, make_effect("anonymize"), file) is asked


def test_no_presence_gate_where_people_are_hidden() -> None:
    loaded = open_model(ModelConfig(threads=1, workers=1), live=True)
    try:
        config = RunConfig(effect=EffectConfig(name="anonymize"))
        hiding = make_smoother(config, loaded, make_effect("anonymize"))
        assert isinstance(hiding, KeepResult)
        assert isinstance(make_smoother(RunConfig(), loaded, make_effect("blur")), PresenceGate)
    finally:
        loaded.segmenter.close()


def test_models_chosen_while_running_are_as_cautious() -> None:
    config = RunConfig(
        model=ModelConfig(threads=1, workers=1), effect=EffectConfig(name="anonymize")
    )
    loaded = open_model(config.model, live=True)
    opened = [loaded.segmenter]
    try:
        choices = model_choices(config, loaded, make_effect("anonymize"), live=True)
        assert choices[0].name == "portrait"
        assert len({choice.name for choice in choices}) == len(choices) > 1
        assert choices[0].make() is loaded.segmenter
        other = choices[1].make()
        assert isinstance(other, NetworkSegmenter)
        opened.append(other)
        assert other.name == choices[1].name
    finally:
        for segmenter in opened:
            segmenter.close()


def test_models_chosen_while_running_run_in_their_own_best_precision(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    build = Build(variant="int8", source_sha256=load_model(path).sha256)
    tiny_model(tmp_path / "net.int8.onnx", precision="int8", build=build)
    model = ModelConfig(
        name=str(path), backend="onnxruntime", precision="int8", threads=1, workers=1
    )
    loaded = open_model(model, live=True)
    opened, runs_on = [loaded.segmenter], {loaded.segmenter: loaded.runs_on}
    try:
        choices = model_choices(
            RunConfig(model=model), loaded, make_effect("blur"), live=True, runs_on=runs_on
        )
        name = next(name for name, file in shipped_models().items() if "int8" not in file.name)
        other = next(choice for choice in choices if choice.name == name).make()
        assert isinstance(other, NetworkSegmenter)
        opened.append(other)
        assert runs_on[loaded.segmenter] == "onnxruntime int8"
        assert runs_on[other].startswith("onnxruntime ")
    finally:
        for segmenter in opened:
            segmenter.close()
