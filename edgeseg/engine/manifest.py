"""What an engine was built from, for what and how: a JSON file beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from edgeseg import __version__
from edgeseg.engine.library import Library
from edgeseg.engine.network import NetworkFile
from edgeseg.engine.request import EngineRequest, Target, Typing, sm_name
from edgeseg.model_file import ModelFile

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an engine must have been built from and for, to be taken.

    variant, origin: the ONNX file (NetworkFile). sm: "sm_87". options: workspace_mib, level.
    """

    model: str
    model_sha256: str
    variant: str
    origin: str
    library: str
    version: str
    gpu: str
    sm: str
    precision: str
    typing: str
    dla: int | None
    options: dict[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """``Wanted``, and what is known after the build.

    engine_sha256, onnx_sha256: of the engine's bytes, and of those the parser read. cuda: newest
    version the driver runs. jetpack: "" where none. shapes: of inputs, fixed. flags: BuilderFlags.
    timing_cache: its file's name, "" without one; reused: it had timings from earlier builds.
    placement: layers on the DLA and the GPU, where a DLA was asked for.
    """

    wanted: Wanted
    engine: str
    engine_sha256: str
    onnx_sha256: str
    cuda: str
    jetpack: str
    shapes: dict[str, list[int]]
    flags: list[str]
    timing_cache: str
    reused: bool
    build_s: float
    built_at: str
    placement: dict[str, list[str]] = field(default_factory=dict)
    edgeseg: str = __version__
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Returns the JSON text, ``wanted``'s keys among the others."""
        flat = asdict(self)
        return json.dumps({**flat.pop("wanted"), **flat}, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Reads ``to_json``'s text. Raises ValueError for anything else."""
        loaded = json.loads(text)
        if not isinstance(loaded, dict) or loaded.get("schema") != SCHEMA:
            raise ValueError("not an engine manifest of this edgeseg")
        own = {entry.name for entry in fields(Manifest)} - {"wanted"}
        known = {entry.name for entry in fields(Wanted)}
        if set(loaded) != own | known or not isinstance(loaded["options"], dict):
            raise ValueError("other keys than a manifest has")
        wanted = Wanted(**{key: loaded[key] for key in known})
        return Manifest(wanted=wanted, **{key: loaded[key] for key in own})


def wanted_for(
    model: ModelFile,
    request: EngineRequest,
    *,
    library: Library,
    target: Target,
    typing: Typing,
    source: NetworkFile,
) -> Wanted:
    """Returns what an engine for this request must have been built from and for."""
    return Wanted(
        model=model.name,
        model_sha256=model.sha256,
        variant=source.variant,
        origin=source.origin,
        library=library.name,
        version=library.version,
        gpu=target.name,
        sm=sm_name(target.sm),
        precision=request.precision,
        typing=typing,
        dla=request.dla,
        options={"workspace_mib": request.workspace >> 20, "level": request.level},
    )


def differences(found: Wanted, wanted: Wanted) -> str:
    """Returns what keeps an engine from being taken, as the end of a sentence; "" = nothing.

    ``was built for TensorRT 8.6.1 on Orin (sm_87), this machine has 10.3.0``.
    """
    said = [
        sentence.format(found=_words(found), wanted=_words(wanted))
        for keys, sentence in _SENTENCES
        if any(getattr(found, key) != getattr(wanted, key) for key in keys)
    ]
    return "; ".join(said)


_SENTENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("library", "version"),
        "was built with {found[library]} {found[version]}, this machine has {wanted[library]} "
        "{wanted[version]}",
    ),
    (
        ("gpu", "sm"),
        "was built for {found[gpu]} ({found[sm]}), this machine has {wanted[gpu]} ({wanted[sm]})",
    ),
    (("model_sha256",), "was built from another version of {wanted[model]}"),
    (
        ("precision", "variant", "typing"),
        "is {found[precision]} from the {found[variant]} file, {found[typing]}ly typed; wanted is "
        "{wanted[precision]} from the {wanted[variant]} file, {wanted[typing]}ly typed",
    ),
    (("origin",), "was built from another {wanted[variant]} file than there is now"),
    (("dla",), "is for {found[dla]}, wanted is {wanted[dla]}"),
    (("options",), "was built with {found[options]}, wanted is {wanted[options]}"),
)


def _words(side: Wanted) -> dict[str, Any]:
    words = asdict(side)
    words["gpu"] = side.gpu or "any GPU"
    words["dla"] = "the GPU" if side.dla is None else f"DLA core {side.dla}"
    words["options"] = ", ".join(f"{key} {value}" for key, value in side.options.items())
    return words
