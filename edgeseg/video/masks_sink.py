"""Label pictures: what the model found, as class numbers, beside the time of each frame."""

from __future__ import annotations

import io

import numpy as np

from edgeseg.atomic import write_whole
from edgeseg.errors import SinkRefused
from edgeseg.ops.labels import label_map
from edgeseg.types import OutputInfo, Rendered
from edgeseg.video.image_sink import encode_image
from edgeseg.video.output_file import write_failed
from edgeseg.video.sequence import INDEX_NAME, NumberedFiles

_HEADER = "index,file,pts,seconds,source\n"


class MasksSink:
    """Writes one 8-bit PNG of class numbers per frame, at the frame's size. Implements Sink.

    path: the folder. Files are named by the frame's index; ``frames.csv`` gives each its stream
    time, as an exact fraction of a second and as a decimal number (both empty where the source
    has no clock), and names the picture file it came from. Numbers are a scene's own; of objects
    they are the class's plus 1, and 0 is background, as in a frame without a result.
    """

    def __init__(self, path: str) -> None:
        """Raises SinkRefused when ``path`` is a file name instead of a folder."""
        self._path = path.removeprefix("masks:")
        if self._path.endswith(".png"):
            raise SinkRefused(f"{self.uri}: expected a folder, such as masks:labels/")
        self._files = NumberedFiles(self._path.rstrip("/\\") + "/")
        self._index: io.FileIO | None = None
        self.written = 0

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return f"masks:{self._path}"

    def open(self, info: OutputInfo) -> None:
        """Checks the folder; files come with frames. Raises SinkRefused."""
        self._files.refuse(uri=self.uri, source=info.source.uri, overwrite=info.overwrite)
        index = self._files.folder / INDEX_NAME
        if index.exists() and not info.overwrite:
            raise SinkRefused(f"{self.uri}: {index} exists already; add --overwrite to replace it")

    def write(self, item: Rendered) -> None:
        """Writes one label picture and its line. Raises SinkError."""
        frame, result = item.frame, item.result
        if result is None:
            labels = np.zeros((frame.size.height, frame.size.width), np.uint8)
        else:
            labels = label_map(result)
        path = self._files.path(frame.index)
        pts = "" if frame.pts is None else str(frame.pts)
        seconds = "" if frame.pts is None else f"{float(frame.pts):.6f}"
        try:
            if self._index is None:
                self._files.make_folder()
                self._index = io.FileIO(self._files.folder / INDEX_NAME, "w")
                self._index.write(_HEADER.encode())
            write_whole(path, encode_image(labels, ".png"))
            line = f"{frame.index},{path.name},{pts},{seconds},{_quoted(frame.name or '')}\n"
            self._index.write(line.encode())
        except OSError as error:
            raise write_failed(path, error, kept=f"{self.written} labels are kept") from error
        self.written += 1

    def close(self) -> None:
        """Closes the list of frames."""
        if self._index is not None:
            self._index.close()
            self._index = None


def _quoted(name: str) -> str:
    """Returns a name as a CSV field."""
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',"\r\n') else name
