"""Where built files go, and writing them whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeseg.atomic import write_whole
from edgeseg.builder.options import BuildOptions
from edgeseg.errors import ConfigError, SinkRefused
from edgeseg.model_file import ModelFile, builds_of, load_model, variant_path
from edgeseg.spec import Variant, one_line


def place_for(model: ModelFile, variant: Variant, options: BuildOptions) -> Path:
    """Returns the file a variant is written to; its folder exists and can be written to.

    Raises ConfigError when that cannot be or the file exists, SinkRefused for an unwritable folder.
    """
    if options.output is not None:
        return _named(model, options.output, overwrite=options.overwrite)
    folder = builds_of(model)
    if folder is None:
        raise ConfigError("no home folder to keep built files in; name one with -o FILE.onnx")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    _try_writing(folder)
    return variant_path(model, variant, folder)


def _named(model: ModelFile, path: Path, *, overwrite: bool) -> Path:
    if not path.parent.is_dir():
        raise ConfigError(f"-o {path}: no folder {path.parent}; create it first")
    if path.is_dir():
        raise ConfigError(f"-o {path}: is a folder; name a file such as {path}/model.int8.onnx")
    if path.exists() and path.samefile(model.path):
        raise ConfigError(f"-o {path}: is the FP32 model itself; name another file")
    if path.exists() and not overwrite:
        raise ConfigError(f"-o {path}: exists; pass --overwrite to replace it")
    _try_writing(path.parent)
    return path


@contextmanager
def no_empty_folders(model: ModelFile) -> Iterator[None]:
    """Takes the folders of built files away again where nothing was kept in them."""
    try:
        yield
    finally:
        folder = builds_of(model)
        with suppress(OSError):  # most often: there is something in it
            if folder is not None:
                folder.rmdir()
                folder.parent.rmdir()


def write_file(path: Path, data: bytes) -> None:
    """Writes a file in one step: nobody ever sees half of it. Raises SinkRefused."""
    try:
        write_whole(path, data, durable=True)
    except OSError as error:
        raise _unwritable(path, error) from error


class Kept:
    """The files of a build in their final places, and what lay there before."""

    def __init__(self, places: Mapping[Variant, Path]) -> None:
        self.places = dict(places)
        self._before: dict[Path, bytes | None] = {}

    def write(self, files: Mapping[Variant, bytes]) -> None:
        """Writes each whole, or changes nothing. Raises SinkRefused."""
        try:
            for variant, data in files.items():
                path = self.places[variant]
                if path not in self._before:
                    self._before[path] = path.read_bytes() if path.is_file() else None
                write_file(path, data)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Puts back what lay there before."""
        for path, data in self._before.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                write_file(path, data)
        self._before.clear()


@contextmanager
def staging() -> Iterator[Stage]:
    """Gives a folder for files on trial, gone afterwards. Raises SinkRefused."""
    try:
        with tempfile.TemporaryDirectory(prefix="edgeseg-build-") as folder:
            yield Stage(Path(folder))
    except OSError as error:
        if isinstance(error, SinkRefused) or error.filename is None:
            raise
        raise _unwritable(Path(str(error.filename)), error) from error


class Stage:
    """Files on trial, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def load(self, model: ModelFile, variant: Variant, data: bytes) -> ModelFile:
        """Returns a variant of a model, loaded as from any other place.

        Raises SinkRefused when it cannot be written, ModelError when it cannot be loaded.
        """
        self._count += 1
        path = variant_path(model, variant, self._folder / str(self._count))
        try:
            path.parent.mkdir()
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        write_file(path, data)
        return load_model(path)


def _try_writing(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> SinkRefused:
    why = error.strerror or one_line(error)
    return SinkRefused(
        f"{path}: cannot be written: {why}; free some space or name another place with -o"
    )
