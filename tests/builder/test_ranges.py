"""Pictures that calibrate are not those that are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from outlier_network import bright_people
from tiny_onnx import tiny_model

from edgeseg.assemble import make_sink, open_source
from edgeseg.builder.options import BuildOptions
from edgeseg.builder.ranges import HELD_OUT, pictures_for
from edgeseg.config import RunConfig, SourceConfig
from edgeseg.model_file import load_model
from edgeseg.types import OutputInfo, Rendered

pytest.importorskip("onnx", reason="calibration needs the onnx package")


def film(path: Path, frames: int) -> Path:
    """A video of bouncing shapes, no two frames alike."""
    uri = f"synthetic://shapes?size=64x48&frames={frames}&speed=6&noise=20"
    source, sink = open_source(SourceConfig(uri=uri)), make_sink(str(path), RunConfig())
    sink.open(OutputInfo(source.info, source.info.size))
    while (frame := source.read()) is not None:
        sink.write(Rendered(frame.planes, frame, None))
    sink.close()
    source.close()
    return path


@pytest.mark.parametrize("kind", ["folder", "video"])
@pytest.mark.parametrize(("there", "images"), [(12, 200), (12, 4), (60, 20), (60, 28), (3, 5)])
def test_what_is_held_out_does_not_calibrate(
    tmp_path: Path, kind: str, there: int, images: int
) -> None:
    from edgeseg.precision.calibrate import calibration_inputs

    model = load_model(tiny_model(tmp_path / "net.onnx"))
    if kind == "folder":
        source = bright_people(tmp_path / "people", seed=3, count=there)
    else:
        source = film(tmp_path / "clip.mp4", there)
    found = pictures_for(model, BuildOptions("int8", calibration=source, images=images))
    used = calibration_inputs(model.spec, source, count=found.count)
    assert len(used) == found.count <= images
    assert 1 <= len(found.held_out) <= HELD_OUT
    assert found.count + len(found.held_out) <= there
    for other in found.held_out:
        assert not any(np.array_equal(one, other) for one in used)
