from __future__ import annotations

from sink_helpers import output_info, rendered, write_all

from edgeseg.types import Size
from edgeseg.video.null_sink import NullSink


def test_takes_everything_and_counts() -> None:
    sink = NullSink()
    write_all(sink, output_info(alpha=True), [rendered(i, size=Size(5, 3)) for i in range(4)])
    assert sink.written == 4
    assert sink.uri == "null://"
