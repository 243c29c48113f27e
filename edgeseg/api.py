"""What a Python program uses: a segmenter for its own pictures, or a whole run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.assemble import assembled, open_model
from edgeseg.config import RunConfig, resolve
from edgeseg.errors import ConfigError
from edgeseg.meter import NoTimer
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.report import check_report_path, write_json
from edgeseg.types import U8, Frame, Result


class OpenSegmenter:
    """A model ready for single pictures; thread-safe. Use it as a context manager, or close it."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._timer = NoTimer()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._segmenter.name

    def segment(self, frame: Frame) -> Result:
        """Returns a Matte, SemanticMap or Instances, by the model's task; frames share no memory.

        Raises ModelError.
        """
        return self._segmenter.segment(frame, self._timer)

    def close(self) -> None:
        """Releases the network."""
        self._segmenter.close()

    def __enter__(self) -> OpenSegmenter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_segmenter(
    model: str | Path = "portrait",
    *,
    threads: int = 0,
    backend: str = "auto",
    precision: str = "auto",
) -> OpenSegmenter:
    """Opens a shipped model by name or a file by path; threads 0 = measured.

    backend, precision: as ``edgeseg run`` takes them; auto is what is fastest here of what was
    found accurate enough.

    Raises:
        ModelError: no such model, or its file or card cannot be used.
        ConfigError: no such backend or precision, or the model has no file of that precision.
        BackendUnavailable: the backend cannot run here.
    """
    given = {"name": str(model), "threads": threads, "backend": backend, "precision": precision}
    config = resolve({"model": given}, where="open_segmenter").model
    return OpenSegmenter(open_model(config, live=True).segmenter)


def frame_from_bgr(bgr: U8, *, index: int = 0) -> Frame:
    """Makes a frame of a uint8 [H, W, 3] BGR picture; the picture is copied.

    Raises:
        ConfigError: another shape or dtype.
    """
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or not bgr.size:
        raise ConfigError(
            f"expected a uint8 [H, W, 3] BGR picture, got {bgr.dtype} {list(bgr.shape)}"
        )
    return Frame(from_bgr(bgr).freeze(), index, time.perf_counter())


def run(config: RunConfig | dict[str, Any]) -> dict[str, Any]:
    """Runs to the end of the source and returns the report, as ``edgeseg run --report`` writes it.

    Without sinks or a window the frames go nowhere and are only measured. The report is written,
    too, where ``report`` names a file. Raises EdgesegError.
    """
    settled = resolve(config) if isinstance(config, dict) else config
    if settled.report is not None:
        check_report_path(settled.report, overwrite=settled.output.overwrite)
    with assembled(settled) as assembly:
        assembly.pipeline.run()
        report = assembly.report("done")
    if settled.report is not None:
        write_json(settled.report, report)
    return report
