"""The layer that is hurt most comes first."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper
from small_nets import drawn_folder, random_inputs, run, scene_graph, scene_model, snr_db

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibrate import Calibration, calibrate
from edgeseg.precision.int8_cpu import to_int8
from edgeseg.precision.int8_trt import to_int8_trt
from edgeseg.precision.sensitivity import Maker, rank_layers

LAYERS = {"n:stem", "n:wide", "n:narrow", "n:half", "n:head"}
MAKERS: dict[str, Maker] = {"cpu": to_int8, "trt": partial(to_int8_trt, typed="fp32")}


@pytest.fixture
def spoilt(tmp_path: Path) -> tuple[ModelFile, Calibration]:
    """A network whose layer "narrow" reads channels of which one is 3000 times larger."""
    graph = scene_graph()
    for tensor in graph.graph.initializer:
        if tensor.name in ("wide.w", "wide.b", "narrow.w"):
            values = numpy_helper.to_array(tensor).copy()
            if tensor.name == "narrow.w":
                values[:, 0] /= 3000
            else:
                values[0] *= 3000
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    model = scene_model(tmp_path / "m.onnx", graph)
    return model, calibrate(model, drawn_folder(tmp_path / "p", 12), method="minmax", count=12)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_spoilt_layer_comes_first(spoilt: tuple[ModelFile, Calibration], maker: str) -> None:
    make = MAKERS[maker]
    inputs = random_inputs(4, seed=2)
    ranking = rank_layers(*spoilt, inputs, make=make)
    assert {error.layer for error in ranking} == LAYERS
    assert {error.kind for error in ranking} == {"Conv"}
    hurt = {"n:wide", "n:narrow"}  # CPUs round what the one gives, TensorRT what the other reads
    assert ranking[0].layer in hurt
    assert ranking[0].snr_db < min(e.snr_db for e in ranking if e.layer not in hurt) - 10
    assert [e.snr_db for e in ranking] == sorted(e.snr_db for e in ranking)
    assert ranking == rank_layers(*spoilt, inputs, make=make)


def test_the_figure_is_that_of_the_layer_alone(spoilt: tuple[ModelFile, Calibration]) -> None:
    model, calibration = spoilt
    inputs = random_inputs(2, seed=2)
    ranking = rank_layers(model, calibration, inputs, make=MAKERS["trt"])
    found = {error.layer: error.snr_db for error in ranking}
    alone = to_int8_trt(model, calibration, typed="fp32", float_layers=sorted(LAYERS - {"n:half"}))
    exact, other = (
        np.concatenate([run(data, {"image": picture})[0] for picture in inputs])
        for data in (model.data, alone)
    )
    assert found["n:half"] == pytest.approx(snr_db(exact, other), abs=0.1)
