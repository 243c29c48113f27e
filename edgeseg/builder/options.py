"""What ``edgeseg build`` is asked for, and what cannot be asked together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from edgeseg.config import BackendName
from edgeseg.errors import ConfigError, near_match
from edgeseg.evaluate import DataChoice
from edgeseg.spec import Precision

Method = Literal["percentile", "entropy", "minmax"]
MAX_DROP = 1.0
"""Points of 0..100 a file of lower precision may lose on labelled pictures."""
MAX_DISAGREEMENT = 3.0
"""Points of IoU by which its decisions may differ from FP32's where nothing is labelled."""
MAX_IMAGES = 100_000
Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """backend: "auto" is TensorRT where it and a GPU are there, else ONNX Runtime.

    calibration: folder of pictures or a video; method, images, seed: how it is used. data: labelled
    pictures for the gate. clip: video for flicker. max_drop: points of 0..100; None = ``MAX_DROP``,
    ``MAX_DISAGREEMENT`` without data. keep_float: layers that are not quantised. output: None =
    among the files built on this machine.
    """

    precision: Precision
    backend: BackendName = "auto"
    calibration: Path | None = None
    method: Method = "percentile"
    images: int = 200
    seed: int = 0
    data: DataChoice | None = None
    clip: Path | None = None
    max_drop: float | None = None
    keep_float: tuple[str, ...] = ()
    output: Path | None = None
    overwrite: bool = False
    gpu: int = 0
    dla: int | None = None
    rebuild: bool = True

    @property
    def allowed(self) -> float:
        """Points that may be lost."""
        if self.max_drop is not None:
            return self.max_drop
        return MAX_DROP if self.data is not None else MAX_DISAGREEMENT


def one_of(option: str, word: str, known: Sequence[Word]) -> Word:
    """Returns the known word that was given. Raises ConfigError with the nearest one."""
    for each in known:
        if each == word:
            return each
    names = tuple(known)
    listed = ", ".join(names)
    raise ConfigError(f"{option} {word}: expected one of {listed}{near_match(word, names)}")


def check_options(options: BuildOptions) -> None:
    """Raises ConfigError for values and combinations that mean nothing; reads no file."""
    _check_numbers(options)
    if options.keep_float and options.precision != "int8":
        raise ConfigError(f"--keep-float: is for --precision int8, not {options.precision}")
    if options.dla is not None:
        _check_dla(options)
    if options.backend == "onnxruntime-cuda" and options.precision == "int8":
        raise ConfigError(
            "--backend onnxruntime-cuda has no INT8 convolutions; use --precision fp16, or "
            "--backend tensorrt"
        )
    if options.output is not None and options.output.suffix.lower() != ".onnx":
        raise ConfigError(f"-o {options.output}: expected a file name ending in .onnx")


def _check_numbers(options: BuildOptions) -> None:
    drop = options.max_drop
    if drop is not None and not (0 <= drop <= 100 and math.isfinite(drop)):
        raise ConfigError(f"--max-drop {drop:g}: expected points from 0 to 100, such as 1.0")
    if not 1 <= options.images <= MAX_IMAGES:
        raise ConfigError(f"--images {options.images}: expected 1 to {MAX_IMAGES}")
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed}: expected 0 or more")


def _check_dla(options: BuildOptions) -> None:
    if options.backend != "tensorrt":
        raise ConfigError(
            f"--dla {options.dla}: a DLA core is driven by TensorRT only; add --backend tensorrt"
        )
    if options.precision != "fp16":
        raise ConfigError(
            f"--dla {options.dla}: a DLA core runs FP16 here, not {options.precision}; use "
            "--precision fp16"
        )


METHODS: tuple[Method, ...] = get_args(Method)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
