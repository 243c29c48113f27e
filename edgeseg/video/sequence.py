"""Numbered files in a folder: their names, what is there already, making the folder."""

from __future__ import annotations

import re
from contextlib import suppress
from glob import glob
from pathlib import Path

from edgeseg.errors import SinkRefused
from edgeseg.video.output_file import refuse_folder

_FIELD = re.compile(r"%0?(\d*)d")
DEFAULT_NAME = "%06d.png"
INDEX_NAME = "frames.csv"
"""The list of frames beside label pictures."""


class NumberedFiles:
    """File names made of a pattern such as ``frames/f_%06d.png``.

    pattern: a path with one ``%d`` field in its last part, or a folder (then ``%06d.png`` in it).
    """

    def __init__(self, pattern: str) -> None:
        """Raises SinkRefused for a pattern that cannot number files."""
        path = Path(pattern)
        if pattern.endswith(("/", "\\")) or not path.suffix:
            path /= DEFAULT_NAME
        self.folder, self.name = path.parent, path.name
        self.suffix = path.suffix.lower()
        if _FIELD.search(str(self.folder)) or self.name.count("%") > len(_FIELD.findall(self.name)):
            raise SinkRefused(f"{pattern}: expected one number field such as %06d in the file name")
        fields = len(_FIELD.findall(self.name))
        if fields > 1:
            raise SinkRefused(f"{pattern}: expected one number field, got {fields}")
        self.numbered = fields == 1
        self._made = False

    @property
    def pattern(self) -> Path:
        """Folder and name, the number still a field."""
        return self.folder / self.name

    def path(self, index: int) -> Path:
        """Returns the file for a frame's index."""
        return self.folder / (self.name % index if self.numbered else self.name)

    def existing(self) -> list[Path]:
        """Returns the files there already that this pattern could write, sorted by name."""
        if not self.folder.is_dir():
            return []
        head, tail = (re.escape(part) for part in (*_FIELD.split(self.name)[::2], "")[:2])
        number = r"\d+" if self.numbered else ""
        names = re.compile(head + number + tail)
        return sorted(p for p in self.folder.iterdir() if names.fullmatch(p.name))

    def refuse(self, *, uri: str, source: str, overwrite: bool) -> None:
        """Raises SinkRefused unless files can be made here without losing any; touches nothing."""
        folder = self.folder
        refuse_folder(folder if folder.exists() else folder.parent, uri=uri)
        existing = self.existing()
        if not existing:
            return
        if not overwrite:
            raise SinkRefused(
                f"{uri}: {existing[0]} exists already ({len(existing)} such files); "
                "add --overwrite to replace them or choose another folder"
            )
        inputs = {path.resolve() for path in _inputs(source)}
        if any(path.resolve() in inputs for path in existing):
            raise SinkRefused(f"{uri}: these are the input pictures; choose another folder")

    def make_folder(self) -> None:
        """Makes the folder where it is missing. Raises OSError."""
        if not self.folder.exists():
            self.folder.mkdir()
            self._made = True

    def remove_empty_folder(self) -> None:
        """Removes the folder again if it was made here and got no file."""
        if self._made:
            with suppress(OSError):  # not empty, or gone already
                self.folder.rmdir()
            self._made = False


def _inputs(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return [p for p in path.iterdir() if p.is_file()]
    return [path] if path.is_file() else [Path(name) for name in glob(source)]
