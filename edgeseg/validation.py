"""pydantic's findings in one line of plain words."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from edgeseg.errors import near_match


def one_line(error: Exception) -> str:
    """Returns an exception's text on one line."""
    return " ".join(str(error).split())


_PLAIN_WORDS = {
    "model_type": "should be a section with keys of its own",
    "tuple_type": "should be a list",
    "string_type": "should be text",
}


def describe_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Returns pydantic's findings as ``path: problem; ...``, with near matches for keys."""
    parts = []
    found = error.errors()
    deeper = {item["loc"][:depth] for item in found for depth in range(len(item["loc"]))}
    for item in found:
        if item["type"] == "too_short" and item["loc"] in deeper:
            continue  # short only because its items are wrong, which is said already
        path = ".".join(str(p) for p in item["loc"])
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, item["loc"][:-1])
            hint = near_match(str(item["loc"][-1]), known) or f"; known: {', '.join(known)}"
            parts.append(f"{path}: unknown key{hint}")
        elif item["type"] == "missing":
            parts.append(f"{path}: missing")
        else:
            said = item["msg"].removeprefix("Value error, ").replace("Input should", "should")
            problem = _PLAIN_WORDS.get(item["type"], said)
            got = "" if not path or " got " in problem else f", got {item['input']!r}"
            parts.append(f"{path}: {problem}{got}" if path else problem)
    return "; ".join(parts)


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Returns the keys a nested model accepts at ``path``."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        annotation = current.model_fields[part].annotation if part in current.model_fields else None
        nested = [a for a in _args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not nested:
            return []
        current = nested[0]
    return [f.alias or name for name, f in current.model_fields.items()]


def _args(annotation: Any) -> list[Any]:
    """Returns an annotation and the types inside it, flattened."""
    from typing import get_args

    return [annotation, *(x for a in get_args(annotation) for x in _args(a))]
