from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FunctionEffect, FunctionSegmenter, ListSink, ListSource, RecordingSmoother

from edgeseg.controls import Choice, Controls, HudState
from edgeseg.errors import ModelError
from edgeseg.meter import Meter
from edgeseg.protocols import Segmenter
from edgeseg.runtime.pipeline import Pipeline
from edgeseg.runtime.recipe import Flow, Recipe


def running() -> Pipeline:
    return Pipeline(
        source=ListSource(5),
        recipe=Recipe(FunctionSegmenter(), FunctionEffect()),
        smoother=RecordingSmoother(),
        sinks=[ListSink()],
        flow=Flow("wait", 4, 1),
        meter=Meter(),
    )


def broken() -> Segmenter:
    raise ModelError("no such model")


def controls(tmp_path: Path, pipeline: Pipeline) -> tuple[Controls, FunctionEffect]:
    other = FunctionEffect()
    made = Controls(
        effects=[Choice("own", lambda: pipeline.recipe.effect), Choice("other", lambda: other)],
        models=[
            Choice("own", lambda: pipeline.recipe.segmenter),
            Choice("second", lambda: FunctionSegmenter(name="second")),
            Choice("broken", broken),
        ],
        hud=HudState(),
        folder=tmp_path,
    )
    return made, other


def test_space_pauses_and_goes_on(tmp_path: Path) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    keys.press(pipeline, " ")
    assert pipeline.paused
    keys.press(pipeline, " ")
    assert not pipeline.paused


def test_e_cycles_effects(tmp_path: Path) -> None:
    pipeline = running()
    first = pipeline.recipe.effect
    keys, other = controls(tmp_path, pipeline)
    keys.press(pipeline, "e")
    assert pipeline.recipe.effect is other
    assert keys.hud.current_note() == "effect: copy"
    keys._made["own"] = first
    keys.press(pipeline, "e")
    assert pipeline.recipe.effect is first


def test_m_opens_the_next_model_once_and_keeps_it_for_closing(tmp_path: Path) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    keys.press(pipeline, "m")
    assert pipeline.recipe.segmenter.name == "second"
    assert [s.name for s in keys.opened] == ["second"]


def test_a_model_that_cannot_be_opened_is_said_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    keys.press(pipeline, "m")
    keys.press(pipeline, "m")
    assert pipeline.recipe.segmenter.name == "second"
    assert keys.hud.current_note() == "broken: not available"
    assert "no such model" in caplog.text


def test_s_saves_what_is_shown(tmp_path: Path) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    keys.press(pipeline, "s")
    assert list(tmp_path.iterdir()) == []
    pipeline.run()
    keys.press(pipeline, "s")
    (saved,) = tmp_path.glob("edgeseg_*_000004.png")
    picture = cv2.imread(str(saved))
    assert picture is not None
    assert picture.shape == (18, 32, 3)
    assert np.ptp(picture) == 0
    assert keys.hud.current_note().startswith("saved edgeseg_")


def test_h_goes_through_the_pages(tmp_path: Path) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    seen = []
    for _ in range(4):
        seen.append(keys.hud.current_page)
        keys.press(pipeline, "h")
    assert seen == ["figures", "help", "off", "figures"]


def test_other_keys_do_nothing(tmp_path: Path) -> None:
    pipeline = running()
    keys, _ = controls(tmp_path, pipeline)
    before = pipeline.recipe
    keys.press(pipeline, "z")
    assert pipeline.recipe is before
