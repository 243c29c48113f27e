"""Do the classes that an effect is about exist? Asked before anything opens."""

from __future__ import annotations

from edgeseg.effects.plain import SideBySide
from edgeseg.errors import ConfigError, near_match
from edgeseg.protocols import Effect
from edgeseg.spec import ModelSpec


def check_classes(names: tuple[str, ...], effect: Effect, spec: ModelSpec) -> None:
    """Raises ConfigError when a model lacks a class that is named, or that the effect needs.

    names: as the user gave them; none means people, or for an overlay everything.
    """
    portrait = spec.task == "portrait"
    known = ("person",) if portrait else spec.classes
    has = f"; the classes of {spec.name}: {', '.join(known)}"
    for name in names:
        if name.lower() not in {one.lower() for one in known}:
            hint = near_match(name.lower(), known) or has
            raise ConfigError(f"effect.classes: {spec.name} has no class {name!r}{hint}")
    effect = effect.effect if isinstance(effect, SideBySide) else effect
    if effect.hides == "nothing" or names or portrait or spec.label_set.people():
        return
    raise ConfigError(
        f"effect {effect.name}: {spec.name} knows no people; name what to "
        f"{'hide' if effect.hides == 'objects' else 'keep'} with --classes{has}"
    )
