"""Finding and loading a model: a shipped name, or any ONNX file with its recipe.

The recipe (ModelSpec) comes from the YAML card beside the file, else from the file's own metadata.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from edgeseg.assets import engines_dir, user_models_dir
from edgeseg.errors import ModelError, SpecMismatch, near_match
from edgeseg.model_file.card import CARD_NEEDS, mismatches
from edgeseg.model_file.graph import OnnxFile, read_onnx
from edgeseg.spec import METADATA_KEY, ModelSpec, Variant, one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model whose recipe was checked against its graph.

    data: the ONNX bytes as they are in the file. sha256: of these bytes, hexadecimal.
    card: the YAML the recipe came from, None when it came from the file's metadata.
    """

    path: Path
    spec: ModelSpec
    graph: OnnxFile
    sha256: str
    card: Path | None = None
    data: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """Name the recipe gives."""
        return self.spec.name


def shipped_models() -> dict[str, Path]:
    """Returns the models that come with edgeseg: name -> file, sorted by name."""
    return _models_in(engines_dir())


def pulled_models() -> dict[str, Path]:
    """Returns the models `edgeseg models pull` fetched for this user: name -> file, sorted."""
    folder = user_models_dir()
    return _models_in(folder) if folder is not None and folder.is_dir() else {}


def _models_in(folder: Path) -> dict[str, Path]:
    """Returns the models of a folder; ``<model>.<variant>.onnx`` is found through its model."""
    files = sorted(folder.glob("*.onnx"), key=lambda path: path.stem)
    files = [path for path in files if Path(path.stem).suffix[1:] not in get_args(Variant)]
    return {path.stem: path for path in files}


def load_model(name_or_path: str | Path) -> ModelFile:
    """Loads a shipped model by name or an ONNX file by path.

    Raises:
        ModelError: unknown name, missing or damaged file, no recipe.
        SpecMismatch: the recipe does not describe the graph; every difference is named.
    """
    path = find_model(str(name_or_path))
    data = read_model_bytes(path)
    graph = read_onnx(data, where=str(path))
    card = card_of(path)
    spec = read_spec(path, graph)
    if spec is None:
        raise ModelError(
            f"{path}: the file carries no edgeseg recipe and there is no card "
            f"{path.with_suffix('.yaml').name} beside it; a card needs {CARD_NEEDS}. "
            f"Print one to start from: edgeseg models check {path}"
        )
    found = mismatches(spec, graph.inputs, graph.outputs)
    if found:
        raise SpecMismatch(
            f"{card or path}: the recipe does not match {path.name}: {'; '.join(found)}. "
            f"Print what fits: edgeseg models check {path}"
        )
    log.info("model %s from %s", spec.name, path)
    return ModelFile(path, spec, graph, hashlib.sha256(data).hexdigest(), card, data)


def find_model(name: str) -> Path:
    """Returns the file a name or path stands for; a shipped name goes before a pulled one.

    Raises ModelError listing the known names.
    """
    shipped, pulled = shipped_models(), pulled_models()
    if name in shipped or name in pulled:
        return shipped.get(name) or pulled[name]
    path = Path(name).expanduser()
    looks_like_path = path.suffix.lower() in (".onnx", ".yaml", ".yml") or len(path.parts) > 1
    if not looks_like_path and not path.is_file():
        known = f"shipped: {', '.join(shipped) or 'none'}"
        known += f"; pulled: {', '.join(pulled)}" if pulled else ""
        hint = near_match(name, [*shipped, *pulled])
        raise ModelError(
            f"unknown model {name!r}{hint} ({known}; or give the path of an .onnx file)"
        )
    if path.suffix.lower() in (".yaml", ".yml"):
        path = path.with_suffix(".onnx")
    if not path.is_file():
        near = near_match(path.name, [p.name for p in path.parent.glob("*.onnx")])
        alias = near or near_match(path.stem, [*shipped, *pulled])
        if path.is_dir():
            raise ModelError(f"{path}: is a folder, expected an .onnx file")
        raise ModelError(f"{path}: no such model file{alias}")
    return path


def read_model_bytes(path: Path) -> bytes:
    """Returns a model file's bytes. Raises ModelError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model file: {one_line(error)}") from error


def card_of(path: Path) -> Path | None:
    """Returns the YAML card beside a model file, None where there is none."""
    cards = (path.with_suffix(suffix) for suffix in (".yaml", ".yml"))
    return next((card for card in cards if card.is_file()), None)


def read_spec(path: Path, graph: OnnxFile) -> ModelSpec | None:
    """Returns a model's recipe, None without one. Raises ModelError when it is malformed."""
    card = card_of(path)
    if card is not None:
        return ModelSpec.from_card(card)
    if METADATA_KEY in graph.metadata:
        return ModelSpec.from_json(graph.metadata[METADATA_KEY], where=f"{path} (its metadata)")
    return None
