"""What the classes of an imported network are called: its data set's names, or the user's."""

from __future__ import annotations

from pathlib import Path

from edgeseg.errors import ConfigError, ModelError
from edgeseg.labels import CITYSCAPES, RGB, LabelSet
from edgeseg.spec import Task

VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa",
    "train", "tv monitor",
)  # fmt: skip
COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def voc_color(index: int) -> RGB:
    """PASCAL VOC's colour of a class: the bits of its number, spread over the channels."""
    channels = [0, 0, 0]
    for step in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * step + channel) & 1) << (7 - step)
    return channels[0], channels[1], channels[2]


VOC = LabelSet(VOC_NAMES, tuple(voc_color(index) for index in range(len(VOC_NAMES))))
PERSON = LabelSet(("background", "person"), (voc_color(0), voc_color(15)))
_VOID = (*CITYSCAPES.names, "void"), (*CITYSCAPES.colors, (0, 0, 0))

KNOWN: dict[Task, dict[int, tuple[str, LabelSet]]] = {
    "portrait": {2: ("person", PERSON)},
    "semantic": {
        19: ("Cityscapes", CITYSCAPES),
        20: ("Cityscapes and void", LabelSet(*_VOID)),
        21: ("PASCAL VOC", VOC),
    },
    "instance": {
        20: ("PASCAL VOC", LabelSet(VOC.names[1:], VOC.colors[1:])),
        80: ("COCO", LabelSet(COCO_NAMES, tuple(voc_color(index + 1) for index in range(80)))),
    },
}
"""Data sets by how many classes the head has; COCO has no colours of its own, VOC's are used."""


def asked_classes(text: str | None) -> tuple[str, ...] | int | None:
    """What `--classes` says: how many, or the names in a file, one a line; None = nothing.

    Raises: ConfigError for a file that is missing, empty, or names a class twice.
    """
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--classes {text}: expected a number, or a text file with one class name a line: "
            f"{error}"
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ConfigError(f"{text}: is empty, expected one class name a line")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{text}: names the class {twice!r} twice")
    return names


def label_set_for(
    task: Task, count: int, asked: tuple[str, ...] | int | None, *, where: str
) -> LabelSet:
    """Names and colours of `count` classes.

    where: the tensor the count comes from, for the message.

    Raises: ModelError when the user asked for another number of classes.
    """
    wanted = len(asked) if isinstance(asked, tuple) else asked
    if wanted is not None and wanted != count:
        what = "names" if isinstance(asked, tuple) else "says"
        raise ModelError(f"--classes {what} {wanted} classes, the checkpoint has {count} ({where})")
    known = KNOWN[task].get(count)
    if isinstance(asked, tuple):
        colors = known[1].colors if known else tuple(voc_color(i) for i in range(count))
        return LabelSet(asked, colors)
    if known:
        return known[1]
    names = tuple(f"class {index}" for index in range(count))
    return LabelSet(names, tuple(voc_color(index) for index in range(count)))
