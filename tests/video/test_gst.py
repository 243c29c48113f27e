from __future__ import annotations

import pytest

from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError, SourceNotFound
from edgeseg.types import Size
from edgeseg.video.gst import GstSource, has_gstreamer, pipeline_for


def test_csi_pipeline() -> None:
    assert pipeline_for(SourceConfig(uri="csi://0")) == (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=1280, height=720, "
        "framerate=30/1, format=NV12 ! nvvidconv ! video/x-raw, format=I420 ! "
        "appsink drop=true max-buffers=1 sync=false"
    )
    asked = pipeline_for(SourceConfig(uri="csi://1", size=Size(1920, 1080), fps=59.94))
    assert "sensor-id=1 " in asked
    assert "width=1920, height=1080, framerate=2997/50," in asked


def test_gst_pipeline_gets_an_end_where_it_has_none() -> None:
    assert pipeline_for(SourceConfig(uri="gst:videotestsrc")) == (
        "videotestsrc ! videoconvert ! video/x-raw, format=I420 ! appsink"
    )
    own = "videotestsrc ! video/x-raw, format=BGR ! appsink"
    assert pipeline_for(SourceConfig(uri=f"gst:{own}")) == own


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("csi://front", "csi://front: expected a camera number, for example csi://0"),
        ("gst: ", "gst: without a pipeline"),
    ],
)
def test_mistakes(uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline_for(SourceConfig(uri=uri))


@pytest.mark.skipif(has_gstreamer(), reason="this OpenCV has GStreamer")
def test_without_gstreamer_one_line_says_so() -> None:
    with pytest.raises(SourceNotFound, match="csi://0: needs an OpenCV built with GStreamer") as e:
        GstSource(SourceConfig(uri="csi://0"))
    assert e.value.exit_code == 2


@pytest.mark.skipif(not has_gstreamer(), reason="this OpenCV was built without GStreamer")
def test_a_real_pipeline_runs_to_its_end() -> None:
    uri = "gst:videotestsrc num-buffers=7 ! video/x-raw, width=64, height=48"
    source = GstSource(SourceConfig(uri=uri))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    assert source.info.size == Size(64, 48)
    assert [f.index for f in frames] == list(range(7))
