"""Reduces an introspected listing of a TensorRT module to what ``tests/fake_tensorrt.py`` needs.

    python tools/compact_api.py LISTING.json... -o tests/tensorrt_api

A listing is what walking an imported ``tensorrt`` gives: classes with bases, enum members, methods
with pybind11's signatures, properties, and module functions and values. Kept are names, values of
enum members and names of parameters; ``=`` marks a parameter with a default, ``*`` a signature that
says nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any


def parameters(signature: str) -> str:
    """Returns ``"logger,flags="`` for ``"create(self: B, logger: L, flags: int = 0) -> N"``."""
    inside = signature.partition("(")[2]
    inside = inside[: inside.rindex(")", 0, _end_of_arguments(inside))]
    if "*args" in inside:
        return "*"
    parts = [part.strip() for part in _split(inside)]
    names = [part.partition(":")[0].partition("=")[0].strip() for part in parts if part]
    optional = ["=" if re.search(r"[^<=>]=[^=]", part) else "" for part in parts if part]
    marked = [name + mark for name, mark in zip(names, optional, strict=True)]
    return ",".join(mark for mark in marked if mark != "self")


def _end_of_arguments(inside: str) -> int:
    depth = 1
    for index, character in enumerate(inside):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return index + 1
    return len(inside)


def _split(inside: str) -> list[str]:
    """Splits at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(inside.replace("->", "  ")):
        depth += {"(": 1, "[": 1, "<": 1, ")": -1, "]": -1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(inside[start:index])
            start = index + 1
    return [*parts, inside[start:]]


def compact_class(listed: dict[str, Any]) -> dict[str, Any]:
    """Returns bases ``b``, enum ``e``, methods ``m``, properties ``p``, nested ``n``."""
    own_init = ["*"]
    methods = {
        name: [parameters(signature) for signature in method["sig"]]
        for name, method in listed.get("methods", {}).items()
    }
    properties = {
        name: "".join(letter for letter, key in (("r", "get"), ("w", "set")) if key in access)
        for name, access in listed.get("properties", {}).items()
    }
    reduced = {
        "b": listed.get("bases", []),
        "e": listed.get("enum", {}),
        "m": {
            name: said for name, said in methods.items() if (name, said) != ("__init__", own_init)
        },
        "p": properties,
        "n": listed.get("nested", {}),
    }
    return {key: value for key, value in reduced.items() if value}


def compact(listing: dict[str, Any]) -> dict[str, Any]:
    """Returns the table of one module."""
    functions = listing["functions"].items()
    return {
        "version": listing["version"],
        "classes": {name: compact_class(c) for name, c in sorted(listing["classes"].items())},
        "functions": {name: [parameters(s) for s in f.get("sig", [])] for name, f in functions},
        "values": sorted(set(listing["values"]) - {"attr", "value"}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("listings", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args()
    for path in arguments.listings:
        table = compact(json.loads(path.read_text(encoding="utf-8")))
        target = arguments.output / f"{'rtx-' if 'rtx' in path.name else ''}{table['version']}.json"
        target.write_text(json.dumps(table, separators=(",", ":"), sort_keys=True) + "\n")
        print(f"{target}: {target.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
