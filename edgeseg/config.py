"""RunConfig: one run, resolved and frozen.

Defaults live here and nowhere else. YAML files, command-line options and ``--set key=value`` all
go through ``resolve``, which reports every problem at once with its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from edgeseg.errors import ConfigError
from edgeseg.spec import SizeField, Strict, describe_validation, one_line

Policy = Literal["auto", "wait", "drop_oldest", "latest"]
BackendName = Literal[
    "auto",
    "onnxruntime",
    "openvino",
    "onnxruntime-cuda",
    "onnxruntime-tensorrt",
    "onnxruntime-rtx",
    "tensorrt",
    "tensorrt-rtx",
]


def camera_number(value: Any) -> Any:
    """Turns YAML's ``uri: 0`` into the camera's name."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def several(value: Any) -> Any:
    """Turns a single name into a list of one."""
    return (value,) if isinstance(value, str) and value else value


class SourceConfig(Strict):
    """Where frames come from. size, fps and fourcc are requests to a camera."""

    uri: Annotated[str, BeforeValidator(camera_number)] = "0"
    size: SizeField | None = None
    fps: float | None = Field(default=None, gt=0, le=1000)
    fourcc: str | None = Field(default=None, min_length=4, max_length=4)
    loop: bool = False
    paced: bool = False  # play a file at its own speed, as if it were live
    decode_threads: int = Field(default=1, ge=0, le=64)  # 0 = let the decoder choose
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    stale_s: float = Field(default=5.0, gt=0, le=600)
    reconnect: int = Field(default=10, ge=0)  # attempts in a row before a stream counts as lost
    backoff_s: float = Field(default=0.5, gt=0, le=60)
    max_frames: int | None = Field(default=None, ge=1)


class ModelConfig(Strict):
    """Which network runs, and on what. threads and workers 0 = measured at load.

    backend, precision: ``auto`` takes what is fastest here of what was found accurate enough.
    gpu, dla: number of the GPU, and of a Jetson's DLA core. cuda: which Python package drives the
    GPU. rebuild: replace a TensorRT engine that does not fit this device; False refuses it.
    threshold: probability from which a pixel counts. score: the least an object must have. Both
    are the model's own where not given.
    """

    name: str = "portrait"
    backend: BackendName = "auto"
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"
    gpu: int = Field(default=0, ge=0, le=63)
    dla: int | None = Field(default=None, ge=0, le=3)
    cuda: Literal["auto", "pycuda", "cuda-python"] = "auto"
    rebuild: bool = True
    threads: int = Field(default=0, ge=0, le=64)
    workers: int = Field(default=0, ge=0, le=64)
    threshold: float | None = Field(default=None, gt=0, lt=1)
    score: float | None = Field(default=None, gt=0, lt=1)
    presence: bool = True


class EffectConfig(Strict):
    """What is drawn. ``name`` takes the command line's form: ``blur=0.7``, ``color=#00ff00``.

    feather: width of the soft edge, 0 = hard. refine: fit the matte to the picture's edges.
    classes: names of the classes that are drawn, cut out or anonymized; empty = the effect's own
    choice (overlay: all; everything else: people).
    margin: growth of anonymized masks, as a share of the picture's shorter side.
    legend: name the colours of a driving scene on the picture.
    """

    name: str = "overlay"
    feather: float = Field(default=1.0, ge=0, le=10)
    refine: bool = True
    decontaminate: bool = True
    classes: Annotated[tuple[str, ...], BeforeValidator(several)] = ()
    margin: float = Field(default=0.01, ge=0, le=0.2)
    legend: bool = True


class SmoothingConfig(Strict):
    """Temporal smoothing of scores before they are drawn."""

    mode: Literal["none"] = "none"


class OutputConfig(Strict):
    """How files are written. crf: quality, smaller is better; the exact quantiser of ultrafast."""

    sinks: Annotated[tuple[str, ...], BeforeValidator(several)] = ()
    overwrite: bool = False
    preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"
    ] = "ultrafast"
    crf: int = Field(default=23, ge=0, le=51)
    encode_threads: int = Field(default=1, ge=0, le=64)
    audio: bool = True
    window: bool | None = None  # None = show one where no file is written


class RuntimeConfig(Strict):
    """How frames flow. ``auto`` waits for files and drops the oldest when live."""

    policy: Policy = "auto"
    queue: int = Field(default=4, ge=1, le=256)


def yaml_switch(value: Any) -> Any:
    """Undoes YAML's reading of a bare ``on`` or ``off`` as a truth value."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class HudConfig(Strict):
    """The figures on the picture. ``auto`` shows them in windows and keeps files clean."""

    show: Annotated[Literal["auto", "on", "off"], BeforeValidator(yaml_switch)] = "auto"


class RunConfig(Strict):
    """One ``edgeseg run``."""

    source: SourceConfig = SourceConfig()
    model: ModelConfig = ModelConfig()
    effect: EffectConfig = EffectConfig()
    smoothing: SmoothingConfig = SmoothingConfig()
    output: OutputConfig = OutputConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    hud: HudConfig = HudConfig()
    report: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the run reads, files and others, as the user gave them."""
        _, _, background = self.effect.name.rpartition("replace=")
        return self.source.uri, self.model.name, background


def load_yaml(path: Path) -> dict[str, Any]:
    """Reads a configuration file into a plain mapping; relative paths in it count from its folder.

    Raises ConfigError when it is missing, unreadable or no mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such configuration file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file: {one_line(error)}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected a mapping such as 'model: {{name: portrait}}'")
    return rebase(loaded, path.parent)


def rebase(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns a configuration whose relative paths start at ``folder``; wrong types stay as is."""

    def each(section: str, key: str, change: Callable[[str], str]) -> None:
        part = tree.get(section)
        if isinstance(part, dict) and isinstance(part.get(key), str):
            part[key] = change(part[key])

    def sink(text: str) -> str:
        scheme = next((s for s in ("masks:", "csv:", "coco:") if text.startswith(s)), "")
        return scheme + at(text.removeprefix(scheme))

    def at(text: str) -> str:
        return _from_folder(text, folder)

    each("source", "uri", at)
    each("model", "name", lambda name: at(name) if name.endswith(".onnx") else name)
    each(
        "effect",
        "name",
        lambda name: re.sub(r"replace=(.+)", lambda m: f"replace={at(m[1])}", name),
    )
    output = tree.get("output")
    if isinstance(output, dict) and isinstance(several(output.get("sinks")), list | tuple):
        output["sinks"] = [sink(s) if isinstance(s, str) else s for s in several(output["sinks"])]
    if isinstance(tree.get("report"), str):
        tree["report"] = at(tree["report"])
    return tree


def _from_folder(text: str, folder: Path) -> str:
    """Returns a relative file path as seen from ``folder``; names of devices and URLs unchanged."""
    device = text.isdigit() or "://" in text or text.startswith(("gst:", "csi:"))
    if device or Path(text).is_absolute() or not text:
        return text
    slash = "/" if text.endswith("/") else ""
    return f"{folder / text}{slash}"


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """Splits ``output.crf=20`` into its path and its value, the value read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {text}: expected KEY=VALUE, for example output.crf=20")
    try:
        return key.strip().split("."), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text}: {one_line(error)}") from error


def assign(tree: dict[str, Any], path: list[str], value: Any, *, where: str) -> None:
    """Puts a value at a dotted path of a nested mapping."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{where}: {part} is a value, not a section")
    tree[path[-1]] = value


def resolve(tree: dict[str, Any], *, where: str = "configuration") -> RunConfig:
    """Validates a nested mapping. Raises ConfigError listing every problem with its path."""
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe_validation(error, RunConfig)}") from error
