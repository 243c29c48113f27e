"""A table of what was found: areas per frame, or one line per object."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import SinkRefused
from edgeseg.ops.labels import mask_in_frame
from edgeseg.types import Instances, Matte, OutputInfo, Rendered, Result, SemanticMap
from edgeseg.video.output_file import OutputFile, refuse_unwritable, write_failed
from edgeseg.video.result_kind import OneKind, ResultKind, seconds_text

FRAME_COLUMNS = ("frame", "seconds", "file")
OBJECT_COLUMNS = ("id", "class", "score", "x", "y", "width", "height", "area")
PORTRAIT_COLUMNS = ("present", "area")

Row = list[str]


class CsvSink:
    """Writes lines as frames come; what is in the file is whole lines at any time. Implements Sink.

    path: the file. Every line begins with the frame's index, its stream time in seconds (empty
    where the source has no clock) and its picture's file name (empty for video). Scenes: each
    class's share of the picture, 0..1. Portraits: whether somebody is there, and the person's
    share. Objects: a line each, with identity (empty until tracked), class, score, box and mask
    area in pixels; frames without one have no line. A frame without a valid result has empty
    columns.
    """

    def __init__(self, path: str) -> None:
        """Raises SinkRefused when the name is no file name."""
        self._path = path.removeprefix("csv:")
        if not Path(self._path).name or self._path.endswith(("/", "\\")):
            raise SinkRefused(f"{self.uri}: expected a file, such as csv:areas.csv")
        self._kept = OneKind(self.uri)
        self._file: OutputFile | None = None
        self._overwrite = False
        self.written = 0

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return f"csv:{self._path}"

    def open(self, info: OutputInfo) -> None:
        """Checks the place; the file comes with the first result. Raises SinkRefused."""
        path = Path(self._path)
        refuse_unwritable(path, source=info.source.path, overwrite=info.overwrite)
        self._overwrite = info.overwrite

    def write(self, item: Rendered) -> None:
        """Writes a frame's lines. Raises SinkError."""
        result = item.result
        if result is not None and not self._kept.admits(result):
            return
        kind = self._kept.kind
        if kind is None:
            return
        found = [[""] * len(columns(kind))] if kind.type is not Instances else []
        rows = found if result is None else rows_of(result)
        frame = item.frame
        start = [str(frame.index), seconds_text(frame.pts), frame.name or ""]
        self._append([start + row for row in rows], kind)

    def _append(self, rows: list[Row], kind: ResultKind) -> None:
        path = Path(self._path)
        try:
            if self._file is None:
                self._file = OutputFile(path)
                self._file.create(overwrite=self._overwrite)
                rows = [[*FRAME_COLUMNS, *columns(kind)], *rows]
        except OSError as error:
            self._file = None
            raise write_failed(path, error, kept="nothing is kept") from error
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())
        self._file.mark()
        self._raise(frames=self.written)
        self.written += 1

    def close(self) -> None:
        """Closes the file. Raises SinkError when the disk says only now that it is full."""
        if self._file is not None:
            failed_before = self._file.error is not None
            self._file.close()
            if not failed_before:
                self._raise(frames=self.written)
            self._file = None

    def _raise(self, *, frames: int) -> None:
        if self._file is not None and self._file.error is not None:
            kept = f"the lines of {frames} frames are kept"
            raise write_failed(self._file.path, self._file.error, kept=kept)


def columns(kind: ResultKind) -> tuple[str, ...]:
    """Returns the columns of a kind of results, after those of the frame."""
    if kind.type is Instances:
        return OBJECT_COLUMNS
    return PORTRAIT_COLUMNS if kind.type is Matte else kind.names


def rows_of(result: Result) -> list[Row]:
    """Returns what a result's lines say, after those of the frame."""
    if isinstance(result, Matte):
        share = float(np.mean(result.person >= np.float32(result.threshold)))
        return [[str(int(result.present)), f"{share:.6f}"]]
    if isinstance(result, SemanticMap):
        counts = np.bincount(result.labels.reshape(-1), minlength=len(result.label_set))
        return [[f"{count / result.labels.size:.6f}" for count in counts[: len(result.label_set)]]]
    return [_object_row(result, index) for index in range(len(result))]


def _object_row(result: Instances, index: int) -> Row:
    left, top, right, bottom = (float(side) for side in result.boxes_xyxy[index])
    identity = "" if result.ids is None else str(int(result.ids[index]))
    box = (f"{value:.1f}" for value in (left, top, right - left, bottom - top))
    name = result.label_set.names[int(result.labels[index])]
    score = f"{float(result.scores[index]):.4f}"
    return [identity, name, score, *box, str(object_area(result, index))]


def object_area(result: Instances, index: int) -> int:
    """Returns how many pixels of the frame an object covers."""
    _, probability = mask_in_frame(result, index)
    if not probability.size:
        return 0
    return int(cv2.countNonZero(src=(probability >= result.threshold * 255).view(np.uint8)))
