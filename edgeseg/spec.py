"""ModelSpec: everything needed to run an ONNX file, kept inside it or in a YAML card beside it.

A model edgeseg exported carries its spec as JSON in the ONNX metadata under ``METADATA_KEY``.
A foreign ONNX gets the same from ``<file>.yaml``. The card wins where both exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgeseg.errors import ModelError
from edgeseg.labels import RGB, LabelSet, label_set
from edgeseg.types import Size
from edgeseg.validation import describe_validation as describe_validation
from edgeseg.validation import one_line as one_line

METADATA_KEY = "edgeseg.spec"
SCHEMA = 1

Task = Literal["portrait", "semantic", "instance"]
Head = Literal["person", "semantic", "labels", "binary", "yolact", "yolo-seg", "maskrcnn"]
HEADS: dict[Task, tuple[Head, ...]] = {
    "portrait": ("person",),
    "semantic": ("semantic", "labels", "binary"),
    "instance": ("yolact", "yolo-seg", "maskrcnn"),
}
"""What a network's outputs can be, by task; the first is the default."""
Meaning = Literal[
    "person", "scores", "labels", "probability", "boxes", "coefficients", "prototypes",
    "detections", "masks",
]  # fmt: skip
MEANINGS: dict[Head, tuple[Meaning, ...]] = {
    "person": ("person",),
    "semantic": ("scores",),
    "labels": ("labels",),
    "binary": ("probability",),
    "yolact": ("boxes", "scores", "coefficients", "prototypes"),
    "yolo-seg": ("detections", "prototypes"),
    "maskrcnn": ("boxes", "labels", "scores", "masks"),
}
"""The outputs a head needs, each named once; ``binary`` has one or more, a class each."""
Activation = Literal["none", "sigmoid", "softmax"]
Precision = Literal["fp32", "fp16", "int8"]
Variant = Literal["fp16", "int8", "int8-trt", "int8-trt16"]
"""A file made from an FP32 one, named ``<model>.<variant>.onnx``.

fp16: FP16-typed, for GPUs. int8: uint8 activations, int8 weights, for CPUs. int8-trt and
int8-trt16: symmetric int8 for TensorRT, the rest FP32-typed or FP16-typed.
"""


LEAST_SCORE = 0.05
"""From which score on objects count for AP, as yolact and Mask R-CNN evaluate."""
MOST_CLASSES = 255
"""Class numbers are bytes, and 255 in a label picture means not to be scored."""
BACKGROUNDS = ("background", "__background__", "bg")


def parse_size(value: Any) -> Any:
    """Turns ``"256x144"``, ``[256, 144]`` or a Size into a Size of positive numbers."""
    if isinstance(value, str):
        parts = value.lower().split("x")
        if len(parts) != 2 or not all(p.strip().isdigit() for p in parts):
            raise ValueError(f"expected WIDTHxHEIGHT such as 256x144, got {value!r}")
        value = [int(p) for p in parts]
    if isinstance(value, list | tuple):
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        if len(value) != 2 or not whole:
            raise ValueError(f"expected [width, height], got {value!r}")
        if min(value) < 1:
            raise ValueError(f"width and height must be at least 1, got {value!r}")
        return Size(*value)
    if value is None:  # for fields that may be empty
        return value
    raise ValueError(f"expected WIDTHxHEIGHT such as 256x144, got {value!r}")


SizeField = Annotated[Size, BeforeValidator(parse_size)]
Triple = tuple[float, float, float]


class Strict(BaseModel):
    """Frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(Strict):
    """The picture a network takes.

    The network sees ``(pixel - mean) / std`` with pixel in 0..255 and channels in ``order``; an
    ``uint8`` input gets the pixels as they are (its normalisation is inside the graph).
    """

    name: str
    size: SizeField
    layout: Literal["nhwc", "nchw"] = "nhwc"
    order: Literal["rgb", "bgr"] = "rgb"
    dtype: Literal["uint8", "float32"] = "uint8"
    fit: Literal["stretch", "letterbox"] = "stretch"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _check(self) -> InputSpec:
        if any(s <= 0 for s in self.std):
            raise ValueError(f"std must be positive, got {self.std}")
        if self.dtype == "uint8" and (any(self.mean) or self.std != (1.0, 1.0, 1.0)):
            raise ValueError("a uint8 input cannot be normalised outside the graph: drop mean/std")
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Tensor shape of one picture in this layout."""
        w, h = self.size
        return (1, h, w, 3) if self.layout == "nhwc" else (1, 3, h, w)


class OutputSpec(Strict):
    """One output tensor, bound by name.

    meaning: what it is to the head (``MEANINGS``). channel: which channel is the person; None when
    the output has only one. activation: what is still to be applied to turn it into a probability
    (softmax runs over the channels).
    """

    name: str
    meaning: Meaning = "person"
    layout: Literal["nhwc", "nchw"] = "nchw"
    channel: int | None = Field(default=None, ge=0)
    activation: Activation = "none"


class Thresholds(Strict):
    """decision: probability from which a pixel is person, or an instance's.

    presence_area / presence_score: the presence gate's smallest share of the picture and smallest
    mean probability inside the mask for somebody to count as being there.
    score / overlap / across / most: an instance's least score, the box IoU above which the weaker
    of two of one class is dropped, of two of different classes (1 = never), and how many are kept.
    """

    decision: float = Field(default=0.5, gt=0, lt=1)
    presence_area: float = Field(default=0.005, ge=0, le=1)
    presence_score: float = Field(default=0.75, ge=0, le=1)
    score: float = Field(default=0.3, gt=0, lt=1)
    overlap: float = Field(default=0.5, gt=0, le=1)
    across: float = Field(default=1.0, gt=0, le=1)
    most: int = Field(default=100, ge=1, le=1000)


class TrainedOn(Strict):
    """One source of training data and the terms it came under."""

    data: str
    terms: str


class Build(Strict):
    """How a file of lower precision was made from an FP32 one.

    source_sha256: of that file. calibration: data, method, number of pictures, seed.
    float_layers: nodes kept in floating point. gate: what it cost, as ``edgeseg build`` reports it.
    """

    variant: Variant
    source_sha256: str
    edgeseg: str = ""
    calibration: dict[str, Any] = {}
    float_layers: tuple[str, ...] = ()
    gate: dict[str, Any] = {}


class ModelSpec(Strict):
    """The recipe of one model file."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    name: str
    title: str = ""
    task: Task = "portrait"
    head: Head | None = None
    """What the outputs are; None = the task's usual one."""
    precision: Precision = "fp32"
    build: Build | None = None
    """None for a file that was not made from another one."""
    input: InputSpec
    outputs: tuple[OutputSpec, ...] = Field(min_length=1)
    classes: tuple[str, ...] = Field(default=("background", "person"), max_length=MOST_CLASSES)
    """By label number. An instance network's may begin with a background, which is no object's."""
    palette: tuple[RGB, ...] = ()
    """Colour of each class; empty = chosen by position."""
    thresholds: Thresholds = Thresholds()
    licence: str = "not stated"
    trained_on: tuple[TrainedOn, ...] = ()
    metrics: dict[str, Any] = {}
    citation: str = ""
    commands: tuple[str, ...] = ()
    notes: str = ""
    source_sha256: str = ""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_meaning(cls, data: Any) -> Any:
        """Where a head has one kind of output, its card need not say so."""
        if not isinstance(data, dict) or not isinstance(data.get("outputs"), list):
            return data
        known = HEADS.get(data.get("task", "portrait"), ("person",))
        meanings = MEANINGS.get(data.get("head") or known[0], ())
        if len(meanings) != 1:
            return data
        return data | {
            "outputs": [
                {"meaning": meanings[0]} | output if isinstance(output, dict) else output
                for output in data["outputs"]
            ]
        }

    @model_validator(mode="after")
    def _check(self) -> ModelSpec:
        problems = _head_problems(self)
        if self.palette and len(self.palette) != len(self.classes):
            colors, names = len(self.palette), len(self.classes)
            problems.append(f"palette has {colors} colours for {names} classes")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def outputs_as(self) -> Head:
        """The head in effect."""
        return self.head or HEADS[self.task][0]

    @property
    def first_class(self) -> int:
        """1 where the classes of objects begin with a background, else 0."""
        background = self.task == "instance" and self.classes[:1] and self.classes[0].lower()
        return int(background in BACKGROUNDS)

    @property
    def label_set(self) -> LabelSet:
        """Names and colours of what labels of results number; for objects without background."""
        first = self.first_class
        return label_set(self.classes[first:], self.palette[first:] or None)

    def output(self, meaning: Meaning) -> OutputSpec:
        """The output with this meaning; KeyError when the card has none."""
        return {output.meaning: output for output in self.outputs}[meaning]

    @property
    def decided(self) -> ModelSpec:
        """The recipe of what a FrameBackend gives: decided on the device, a byte per pixel.

        Class scores become class numbers at the input's size, a person's score its probability as
        0..255; what other heads give stays as it is. Names of outputs stay.
        """
        if self.outputs_as not in ("semantic", "person"):
            return self
        head: Head = "labels" if self.outputs_as == "semantic" else "person"
        output = OutputSpec(name=self.outputs[0].name, meaning=MEANINGS[head][0])
        return self.model_copy(update={"head": head, "outputs": (output,)})

    def with_thresholds(self, **given: float | None) -> ModelSpec:
        """The same recipe with some of its thresholds replaced; None keeps the model's own."""
        new = {name: value for name, value in given.items() if value is not None}
        return self.model_copy(update={"thresholds": self.thresholds.model_copy(update=new)})

    def to_json(self) -> str:
        """Returns the JSON that goes into the ONNX metadata."""
        return self.model_dump_json(by_alias=True, exclude_defaults=False)

    @staticmethod
    def from_json(text: str, *, where: str) -> ModelSpec:
        """Parses ONNX metadata. Raises ModelError naming ``where`` and each offending key."""
        return _validate(lambda: ModelSpec.model_validate_json(text), where)

    @staticmethod
    def from_card(path: Path) -> ModelSpec:
        """Reads a YAML card. Raises ModelError naming the file and each offending key."""
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ModelError(f"{path}: not a readable YAML card: {one_line(error)}") from error
        if not isinstance(loaded, dict):
            raise ModelError(f"{path}: expected a YAML mapping with name, input, outputs")
        loaded.setdefault("name", path.stem)
        return _validate(lambda: ModelSpec.model_validate(loaded), str(path))

    def to_card(self) -> str:
        """Returns the YAML card text."""
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        head = {"schema": self.schema_, "name": self.name, "task": self.task}
        body = {k: v for k, v in data.items() if k not in head}
        text: str = yaml.safe_dump(head | body, sort_keys=False, allow_unicode=True, width=96)
        return text


def _head_problems(spec: ModelSpec) -> list[str]:
    """Returns what does not fit between task, head, outputs and classes."""
    heads = HEADS[spec.task]
    if spec.outputs_as not in heads:
        fitting = next(task for task, known in HEADS.items() if spec.outputs_as in known)
        return [
            f"head {spec.outputs_as} does not belong to task {spec.task} (its heads: "
            f"{', '.join(heads)}): task should be {fitting}"
        ]
    if not spec.classes[spec.first_class :]:
        return ["classes must name at least one class besides the background"]
    head, wanted = spec.outputs_as, MEANINGS[spec.outputs_as]
    given = [output.meaning for output in spec.outputs]
    if head == "binary" and set(given) == set(wanted):
        outputs, classes = len(given), len(spec.classes)
        one_each = f"head binary: {outputs} output(s), one class each, need {outputs + 1} classes"
        said = f"{one_each}, a background first; the card names {classes}"
        return [] if classes == outputs + 1 else [said]
    if sorted(given) == sorted(wanted):
        return []
    return [
        f"head {head} needs one output each of meaning {', '.join(wanted)}; "
        f"the card has {', '.join(given)}"
    ]


def _validate(build: Any, where: str) -> ModelSpec:
    try:
        spec: ModelSpec = build()
    except ValidationError as error:
        raise ModelError(f"{where}: {describe_validation(error, ModelSpec)}") from error
    if spec.schema_ != SCHEMA:
        raise ModelError(
            f"{where}: card schema {spec.schema_}, this edgeseg reads {SCHEMA}; "
            "export the model again or update edgeseg"
        )
    return spec
