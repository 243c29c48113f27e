"""Which class of a data set is which class of a model: classes.txt, void ids, matching by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.errors import ConfigError, near_match
from edgeseg.ops.metrics import IGNORE
from edgeseg.types import U8

CLASS_FILE = "classes.txt"
UNKNOWN = 254
"""In `ClassMatch.truth`: an id that is neither a class nor void."""
_VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})
_SPELLINGS = {"signsymbol": "sign"}
"""Names of published data sets for what edgeseg's models call otherwise."""

Pairs = Sequence[tuple[str, str]]
"""(class of the data, class of the model), as the user named them."""


@dataclass(frozen=True, slots=True)
class DataClasses:
    """names: by label id, without the void ids, whose pixels are not scored. where: who says so."""

    names: Mapping[int, str]
    void: frozenset[int]
    where: str


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """names: of the scored classes.

    truth: uint8 [256], label id to scored class, 255 = not scored, ``UNKNOWN`` = a foreign id.
    predicted: uint8 [256], the model's class number to scored class; a class of the model that
    the data does not have becomes ``len(names)``, which is never right.
    """

    names: tuple[str, ...]
    truth: U8
    predicted: U8


def read_classes(folder: Path, model: Sequence[str], void: Sequence[str]) -> DataClasses:
    """Returns the classes of a folder's label ids: its classes.txt's, or else the model's.

    The file may lie in the folder or in the one above. void: ids or names not to be scored,
    besides 255 and whatever the file calls void. Raises ConfigError.
    """
    files = [f for f in (folder / CLASS_FILE, folder.parent / CLASS_FILE) if f.is_file()]
    if files:
        names, where = _parse(files[0]), str(files[0])
    else:
        names, where = dict(enumerate(model)), "the model"
    ignored = {i for i, name in names.items() if name.lower() in _VOID_NAMES} if files else set()
    for word in void:
        ignored.add(_void_id(word, names, where))
    scored = {i: name for i, name in names.items() if i not in ignored}
    if not scored:
        raise ConfigError(f"{where}: every class is void; nothing is left to score")
    return DataClasses(scored, frozenset({*ignored, IGNORE}), where)


def parse_pairs(texts: Sequence[str]) -> Pairs:
    """Reads ``Car=car,Truck=car`` options. Raises ConfigError."""
    pairs = []
    for part in (p for text in texts for p in text.split(",")):
        data, sign, model = (piece.strip() for piece in part.partition("="))
        if not (sign and data and model):
            raise ConfigError(f"--map {part.strip()!r}: expected DATA=MODEL, such as Car=vehicle")
        pairs.append((data, model))
    return pairs


def match_classes(data: DataClasses, model: Sequence[str], pairs: Pairs = ()) -> ClassMatch:
    """Matches the data's classes with the model's, by pairs first, then by name.

    Classes that pairs tie together are scored as one: both of ``Car=vehicle,Truck=vehicle``, and
    ``Car=car,Car=truck``. Raises ConfigError naming the classes that match nothing.
    """
    tied = [_numbers(pair, data, model) for pair in pairs]
    by_hand = {i for i, _ in tied}
    ours = {plain_name(name): number for number, name in reversed(list(enumerate(model)))}
    lost = []
    for i, name in data.names.items():
        number = ours.get(plain_name(name))
        if number is not None and i not in by_hand:
            tied.append((i, number))
        elif i not in by_hand:
            lost.append(name)
    if lost:
        raise ConfigError(
            f"{data.where}: {_listed(lost)} not among the model's classes "
            f"({', '.join(model)}); name the model's class with --map {lost[0]}=..., "
            f"or leave it out with --void {lost[0]}"
        )
    return _scored(tied, data, model)


def plain_name(name: str) -> str:
    """Returns a class name without capitals, spaces, hyphens and underscores."""
    plain = "".join(letter for letter in name.lower() if letter not in " -_")
    return _SPELLINGS.get(plain, plain)


def _scored(tied: Sequence[tuple[int, int]], data: DataClasses, model: Sequence[str]) -> ClassMatch:
    """Numbers the groups that ties make of data ids and model classes, in the order of ids."""
    groups: list[tuple[set[int], set[int]]] = []
    for i, number in sorted(tied):
        touched = [g for g in groups if i in g[0] or number in g[1]]
        ids, numbers = {i}, {number}
        for group in touched:
            ids |= group[0]
            numbers |= group[1]
        place = groups.index(touched[0]) if touched else len(groups)
        groups = [g for g in groups if g not in touched]
        groups.insert(place, (ids, numbers))
    truth = np.full(256, UNKNOWN, np.uint8)
    predicted = np.full(256, len(groups), np.uint8)
    names = []
    for scored, (ids, numbers) in enumerate(groups):
        truth[list(ids)] = scored
        predicted[list(numbers)] = scored
        names.append(data.names[min(ids)] if len(numbers) > 1 else model[min(numbers)])
    truth[list(data.void)] = IGNORE
    return ClassMatch(tuple(names), truth, predicted)


def _numbers(pair: tuple[str, str], data: DataClasses, model: Sequence[str]) -> tuple[int, int]:
    theirs = {name.lower(): i for i, name in data.names.items()}
    ours = {name.lower(): number for number, name in enumerate(model)}
    for name, known, whose in ((pair[0], theirs, data.where), (pair[1], ours, "the model")):
        if name.lower() not in known:
            raise ConfigError(
                f"--map {pair[0]}={pair[1]}: {whose} has no class {name!r}"
                + (near_match(name.lower(), list(known)) or f"; it has {', '.join(known)}")
            )
    return theirs[pair[0].lower()], ours[pair[1].lower()]


def _void_id(word: str, names: Mapping[int, str], where: str) -> int:
    if word.isdecimal() and int(word) <= IGNORE:
        return int(word)
    by_name = {plain_name(name): i for i, name in names.items()}
    if plain_name(word) not in by_name:
        raise ConfigError(
            f"--void {word}: expected an id from 0 to 255 or a class of {where}"
            + (near_match(word, list(names.values())) or f" ({', '.join(names.values())})")
        )
    return by_name[plain_name(word)]


def _parse(path: Path) -> dict[int, str]:
    """Reads lines ``ID NAME [R G B]``, or ``NAME`` with the line's number; # starts a comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a readable text file: {error}") from error
    rows = [line.split() for line in text.splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    numbered = bool(rows) and all(len(row) > 1 and row[0].isdecimal() for row in rows)
    names: dict[int, str] = {}
    for position, row in enumerate(rows):
        number, words = (int(row[0]), row[1:]) if numbered else (position, row)
        if len(words) > 3 and all(word.isdecimal() for word in words[-3:]):
            words = words[:-3]
        name = " ".join(words)
        if number >= UNKNOWN or number in names or name in names.values():
            raise ConfigError(
                f"{path}: {' '.join(row)!r} repeats an id or a name, or its id is above "
                f"{UNKNOWN - 1}; expected lines such as '3 Road 128 64 128'"
            )
        names[number] = name
    if not names:
        raise ConfigError(f"{path}: no classes; expected lines such as '3 Road 128 64 128'")
    return names


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'are' if len(names) > 1 else 'is'}"
