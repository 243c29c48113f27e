"""What was found, as a COCO file: images, annotations with run-length masks, categories."""

from __future__ import annotations

import io
import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeseg.device import available_cores
from edgeseg.errors import SinkError, SinkRefused
from edgeseg.ops.labels import label_map, mask_in_frame
from edgeseg.ops.rle import Runs, label_runs, mask_runs
from edgeseg.types import Frame, Instances, Matte, OutputInfo, Rendered, Result
from edgeseg.video.jobs import Jobs
from edgeseg.video.output_file import refuse_unwritable, write_failed
from edgeseg.video.result_kind import OneKind

_HEAD = b'{"info": {"description": "written by edgeseg"},\n"annotations": ['

Annotation = dict[str, Any]


class _Kept(NamedTuple):
    """A frame whose annotations are written: where they end in the file, and its image's entry."""

    end: int
    image: str


class CocoSink:
    """Writes one COCO file about all frames. Implements Sink.

    path: the file. ``images`` name pictures by their files, frames of videos as a picture folder
    would (``000012.png``), with index and seconds; an image's id is the frame's index. Category ids
    are class numbers plus 1. Objects are annotations with score and, once tracked, ``track_id``; of
    a scene, each class in a frame is one. Masks are compressed run lengths at the frame's size,
    which pycocotools reads.

    Annotations go to a hidden file beside it and become the file on ``close``, also after an error:
    what is there by then is valid. Masks are encoded on all cores; an error is raised by the next
    ``write`` or by ``close``. Memory grows by some 200 bytes a frame.
    """

    def __init__(self, path: str) -> None:
        """Raises SinkRefused when the name is no file name."""
        self._path = Path(path.removeprefix("coco:"))
        self._uri = f"coco:{path.removeprefix('coco:')}"
        if not self._path.name or path.endswith(("/", "\\")):
            raise SinkRefused(f"{self._uri}: expected a file, such as coco:objects.json")
        self._kept_kind = OneKind(self._uri)
        self._jobs: Jobs[tuple[Frame, list[Annotation]]] | None = None
        self._file: io.FileIO | None = None
        self._frames: list[_Kept] = []
        self._next_id = 1

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return self._uri

    @property
    def written(self) -> int:
        """Number of frames whose annotations are written."""
        return len(self._frames)

    def open(self, info: OutputInfo) -> None:
        """Checks the place; the file comes with frames. Raises SinkRefused."""
        refuse_unwritable(self._path, source=info.source.path, overwrite=info.overwrite)

    def write(self, item: Rendered) -> None:
        """Takes one frame. Raises SinkError."""
        result = item.result
        if result is not None and not self._kept_kind.admits(result):
            return
        if self._jobs is None:
            self._jobs = Jobs(threads=available_cores(), landed=self._landed)
        self._jobs.add(partial(_annotated, item.frame, result))

    def close(self) -> None:
        """Waits for the last masks and finishes the file. Raises SinkError."""
        jobs, self._jobs = self._jobs, None
        try:
            if jobs is not None:
                jobs.finish()
        finally:
            if self._file is not None:
                self._finish(self._file)

    @property
    def _part(self) -> Path:
        return self._path.with_name(f".{self._path.name}.part")

    def _landed(self, outcome: tuple[Frame, list[Annotation]]) -> None:
        frame, found = outcome
        lines = []
        for annotation in found:
            lines.append(json.dumps({"id": self._next_id, "image_id": frame.index} | annotation))
            self._next_id += 1
        text = ",\n".join(lines)
        try:
            if self._file is None:
                self._file = io.FileIO(self._part, "w")
                _write_all(self._file, _HEAD)
            if text:
                first = self._file.tell() == len(_HEAD)
                _write_all(self._file, (("\n" if first else ",\n") + text).encode())
            self._frames.append(_Kept(self._file.tell(), _image(frame)))
        except OSError as error:
            raise self._failed(error) from error

    def _finish(self, file: io.FileIO) -> None:
        """Turns the hidden file into the asked one; on a full disk the last frames make room."""
        try:
            while True:
                tail = self._tail()
                end = self._frames[-1].end if self._frames else len(_HEAD)
                file.truncate(end)
                file.seek(end)
                try:
                    _write_all(file, tail)
                    break
                except OSError:
                    if not self._frames:
                        raise
                    del self._frames[len(self._frames) * 7 // 8 :]
            file.close()
            os.replace(self._part, self._path)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            file.close()
            self._file = None
            self._part.unlink(missing_ok=True)

    def _tail(self) -> bytes:
        images = ",\n".join(frame.image for frame in self._frames)
        names = () if self._kept_kind.kind is None else self._kept_kind.kind.names
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        text = f'\n],\n"images": [\n{images}\n],\n"categories": {json.dumps(categories)}}}\n'
        return text.encode()

    def _failed(self, error: OSError) -> SinkError:
        return write_failed(self._path, error, kept=f"at most {self.written} frames are kept")


def _annotated(frame: Frame, result: Result | None) -> tuple[Frame, list[Annotation]]:
    return frame, [] if result is None else annotations_of(result)


def annotations_of(result: Result) -> list[Annotation]:
    """Returns a result's COCO annotations without ids."""
    if isinstance(result, Instances):
        return [_of_object(result, index) for index in range(len(result))]
    runs = dict(label_runs(label_map(result)))
    if isinstance(result, Matte):
        if 1 not in runs:
            return []
        inside = result.person[result.person >= np.float32(result.threshold)]
        score = float(inside.mean()) if inside.size else result.threshold
        return [_annotation(1, runs[1]) | {"score": round(score, 4)}]
    return [_annotation(number + 1, part) for number, part in runs.items()]


def _of_object(result: Instances, index: int) -> Annotation:
    place, probability = mask_in_frame(result, index)
    inside = (probability >= result.threshold * 255).view(np.uint8)
    runs = mask_runs(inside, place, result.frame_size)
    left, top, right, bottom = (float(side) for side in result.boxes_xyxy[index])
    box = [round(value, 2) for value in (left, top, right - left, bottom - top)]
    found = _annotation(int(result.labels[index]) + 1, runs)
    found |= {"bbox": box, "score": round(float(result.scores[index]), 4)}
    if result.ids is not None:
        found["track_id"] = int(result.ids[index])
    return found


def _annotation(category: int, runs: Runs) -> Annotation:
    return {
        "category_id": category,
        "segmentation": {"size": [runs.size.height, runs.size.width], "counts": runs.text()},
        "area": runs.area,
        "bbox": list(runs.box_xywh),
        "iscrowd": 0,
    }


def _image(frame: Frame) -> str:
    return json.dumps(
        {
            "id": frame.index,
            "file_name": frame.name or f"{frame.index:06d}.png",
            "width": frame.size.width,
            "height": frame.size.height,
            "frame": frame.index,
            "seconds": None if frame.pts is None else round(float(frame.pts), 6),
        }
    )


def _write_all(file: io.FileIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) or 0 :]
