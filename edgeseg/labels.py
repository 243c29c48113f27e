"""Class names and their colours: what a label number means and how it is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RGB = tuple[int, int, int]

CAMVID_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
CAMVID_COLORS: tuple[RGB, ...] = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
CITYSCAPES_NAMES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
CITYSCAPES_COLORS: tuple[RGB, ...] = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
    (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
    (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
    (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
PEOPLE = frozenset({"person", "pedestrian", "rider", "bicyclist", "cyclist", "people"})
"""Names, in any data set, of classes that show people."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """names: class names by label number. colors: RGB 0..255 of each, as many as names."""

    names: tuple[str, ...]
    colors: tuple[RGB, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise ValueError(f"{len(self.names)} class names, {len(self.colors)} colours")

    def __len__(self) -> int:
        return len(self.names)

    def numbers(self, names: Sequence[str]) -> tuple[int, ...]:
        """Numbers of the classes with these names, in any case; unknown names are left out."""
        wanted = {name.lower() for name in names}
        return tuple(i for i, name in enumerate(self.names) if name.lower() in wanted)

    def people(self) -> tuple[int, ...]:
        """Numbers of the classes that show people."""
        return tuple(i for i, name in enumerate(self.names) if name.lower() in PEOPLE)


def label_set(names: Sequence[str], colors: Sequence[RGB] | None = None) -> LabelSet:
    """A label set with the given colours, or with distinct ones chosen by position."""
    chosen = colors if colors else [distinct_color(i) for i in range(len(names))]
    return LabelSet(tuple(names), tuple(chosen))


def distinct_color(index: int) -> RGB:
    """A colour far from those of the indices around it: hues by the golden ratio."""
    from colorsys import hsv_to_rgb

    hue = (0.58 + index * 0.61803398875) % 1.0
    red, green, blue = hsv_to_rgb(hue, 0.65 + 0.25 * (index % 2), 0.95 - 0.2 * (index // 2 % 2))
    return round(red * 255), round(green * 255), round(blue * 255)


CAMVID = LabelSet(CAMVID_NAMES, CAMVID_COLORS)
CITYSCAPES = LabelSet(CITYSCAPES_NAMES, CITYSCAPES_COLORS)
