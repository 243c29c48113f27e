"""FP16 and INT8 files made from a model: their names, where they lie, which are its own.

They are found beside the model, then among those built on this machine. One made from another
version of the model is not taken: its source's sha256 is in its recipe.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from edgeseg.assets import user_builds_dir
from edgeseg.errors import ModelError
from edgeseg.model_file.find import ModelFile, load_model
from edgeseg.spec import Variant

log = logging.getLogger(__name__)

VARIANTS: tuple[Variant, ...] = get_args(Variant)


def variant_of(path: Path) -> Variant | None:
    """Returns what a file's name says it is: ``int8`` for ``driving.int8.onnx``, else None."""
    suffix = Path(path.stem).suffix[1:]
    return next((variant for variant in VARIANTS if variant == suffix), None)


def variant_path(model: ModelFile, variant: Variant, folder: Path) -> Path:
    """Returns the file a variant of a model has in a folder."""
    return folder / f"{model.path.stem}.{variant}.onnx"


def builds_of(model: ModelFile) -> Path | None:
    """Returns the folder of variants of this very file built here; it need not exist."""
    builds = user_builds_dir()
    return None if builds is None else builds / f"{model.path.stem}-{model.sha256[:12]}"


def load_variant(model: ModelFile, variant: Variant) -> ModelFile | None:
    """Returns a variant of a model, the one built here before the one that lies beside it.

    None where there is none of this very model. Raises ModelError for a damaged one.
    """
    for path in _places(model, variant):
        if not path.is_file():
            continue
        found = load_model(path)
        build = found.spec.build
        if build is not None and build.source_sha256 == model.sha256:
            return found
        log.warning("%s was not made from %s as it is now: left aside", path, model.path)
    return None


def variants_of(model: ModelFile) -> dict[Variant, ModelFile]:
    """Returns every usable variant of a model; damaged files are left aside with a warning."""
    found: dict[Variant, ModelFile] = {}
    for variant in VARIANTS:
        try:
            loaded = load_variant(model, variant)
        except ModelError as error:
            log.warning("%s: left aside", error)
            continue
        if loaded is not None:
            found[variant] = loaded
    return found


def _places(model: ModelFile, variant: Variant) -> Iterator[Path]:
    built = builds_of(model)
    if built is not None:
        yield variant_path(model, variant, built)
    yield variant_path(model, variant, model.path.parent)
