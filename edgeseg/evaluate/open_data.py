"""From a model and a folder to the scoring that fits both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import ConfigError
from edgeseg.evaluate.class_names import CLASS_FILE, parse_pairs
from edgeseg.evaluate.labelled_folder import open_split
from edgeseg.evaluate.picture_folder import COCO_FILE, Split, find_split
from edgeseg.evaluate.portrait import PortraitScoring
from edgeseg.evaluate.scene_folder import open_scenes
from edgeseg.evaluate.scoring import Scoring
from edgeseg.evaluate.semantic import SemanticScoring
from edgeseg.spec import ModelSpec, Task

EXPECTED: dict[Task, str] = {
    "portrait": "finds a person and is scored on images/ and masks/ (0, 1, 255)",
    "semantic": "gives each pixel a class and is scored on images/ and labels/ (class ids)",
    "instance": f"finds objects and is scored on images/ and {COCO_FILE} (COCO)",
}


@dataclass(frozen=True, slots=True)
class DataChoice:
    """Which labelled pictures, and how to read them.

    split: sub-folder or manifest split. sources: only these. void: ids or names of classes that
    are not scored. pairs: texts such as ``Car=vehicle``, a class of the data and one of the model.
    """

    path: Path
    split: str | None = None
    sources: Sequence[str] = ()
    void: Sequence[str] = ()
    pairs: Sequence[str] = ()


def open_scoring(spec: ModelSpec, choice: DataChoice) -> Scoring:
    """Opens labelled pictures for a model. Raises ConfigError when they do not fit it."""
    if spec.task != "semantic" and (choice.void or choice.pairs):
        raise ConfigError(
            f"--void and --map are for models that give each pixel a class; {spec.name} "
            f"{EXPECTED[spec.task]}"
        )
    split = find_split(choice.path, choice.split)
    _check_form(spec, split)
    if spec.task == "portrait":
        return PortraitScoring(open_split(split, sources=choice.sources))
    if spec.task == "semantic":
        scenes = open_scenes(
            split,
            spec.label_set.names,
            void=choice.void,
            pairs=parse_pairs(choice.pairs),
            sources=choice.sources,
        )
        return SemanticScoring(scenes, spec.label_set)
    from edgeseg.evaluate.coco_data import open_coco
    from edgeseg.evaluate.instances import InstanceScoring

    data = open_coco(split.folder, sources=choice.sources)
    return InstanceScoring(data, spec.label_set, shown_from=spec.thresholds.score)


def _check_form(spec: ModelSpec, split: Split) -> None:
    """Raises ConfigError when a folder plainly holds labels of another kind of model."""
    folder = split.folder
    kinds = {
        kind
        for kind, name in (("instance", COCO_FILE), ("semantic", "labels"), ("person", "masks"))
        if (folder / name).exists()
    }
    if any((parent / CLASS_FILE).is_file() for parent in (folder, folder.parent)):
        kinds = {"semantic" if kind == "person" else kind for kind in kinds}
    fitting = {"portrait": {"person"}, "semantic": {"semantic", "person"}, "instance": {"instance"}}
    if not kinds and spec.task == "instance":
        raise ConfigError(f"{folder}: no {COCO_FILE} in it; {spec.name} {EXPECTED[spec.task]}")
    if kinds and not kinds & fitting[spec.task]:
        names = {"instance": f"objects ({COCO_FILE})", "semantic": "class ids", "person": "masks"}
        held = " and ".join(names[kind] for kind in sorted(kinds))
        raise ConfigError(f"{folder}: holds {held}, but {spec.name} {EXPECTED[spec.task]}")
