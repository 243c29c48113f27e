"""TensorRT-RTX, which needs no GPU for it, parses and builds every file made for TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_nets import SHIPPED, drawn_calibration

from edgeseg.model_file import ModelFile, load_model
from edgeseg.precision.calibrate import Calibration
from edgeseg.precision.fp16 import to_fp16
from edgeseg.precision.int8_trt import to_int8_trt

pytestmark = pytest.mark.trt_rtx

MAKERS: dict[str, Callable[[ModelFile, Calibration], bytes]] = {
    "fp16": lambda model, _: to_fp16(model),
    "int8-trt16": lambda model, calibration: to_int8_trt(model, calibration, typed="fp16"),
    "int8-trt": lambda model, calibration: to_int8_trt(model, calibration, typed="fp32"),
}


@pytest.fixture(scope="module")
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")


BUILT = [(name, variant) for name in SHIPPED for variant in ("fp16", "int8-trt16")]


@pytest.mark.parametrize(("name", "variant"), [*BUILT, ("portrait", "int8-trt")])
def test_it_parses_and_builds(
    trt: Any, tmp_path_factory: pytest.TempPathFactory, name: str, variant: str
) -> None:
    model = load_model(name)
    data = MAKERS[variant](model, drawn_calibration(model, tmp_path_factory))
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(data)
    assert parsed, [str(parser.get_error(n)) for n in range(parser.num_errors)]
    outputs = {network.get_output(n).name for n in range(network.num_outputs)}
    assert outputs == {output.name for output in model.spec.outputs}
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None
    assert plan.nbytes > 100_000
