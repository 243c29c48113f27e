"""Reading an ONNX file into TensorRT, and one line for what it does not take."""

from __future__ import annotations

import re
from typing import Any

from edgeseg.engine.library import Library
from edgeseg.engine.support import OPERATOR_SINCE
from edgeseg.errors import ModelError

_WRAPPERS = "Internal Error|API Usage Error|Cuda Runtime|Serialization"
"""Kinds of errors that say less than what stands in brackets behind them."""
INSTEAD = "--backend onnxruntime runs it"


def parse_network(library: Library, parser: Any, data: bytes, logger: Any, *, where: str) -> None:
    """Fills a parser's network. Raises ModelError naming the node and operator it stops at."""
    if parser.parse(data):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        said = logger.errors[-1] if logger.errors else "no reason given"
        raise ModelError(f"{where}: {library.title} cannot read the network: {clean(said)}")
    raise ModelError(f"{where}: {describe(library, errors[0], list(logger.said))}")


def describe(library: Library, error: Any, said: list[str]) -> str:
    """Returns what a parser's error means, without "file: " before it."""
    reason = error.desc()
    operator, node = _operator(error, said), _node(error)
    if operator and _is_unknown(reason, said):
        since = OPERATOR_SINCE.get(operator)
        newer = f"TensorRT {since} has it" if since else "no version edgeseg knows of has it"
        newer = INSTEAD if library.rtx else f"{newer}; {INSTEAD}"
        return f"{library.title} has no operator {operator} (node {node}): {newer}"
    if node == "-1":
        return f"{library.title} cannot read the network: {clean(reason)}"
    named = f"node {node}" + (f" ({operator})" if operator else "")
    return f"{library.title} does not take {named}: {clean(reason)}; {INSTEAD}"


def clean(text: str) -> str:
    """Returns the first statement of TensorRT's message without error codes and source lines."""
    text = next((line for line in text.splitlines() if not line.startswith("Invalid Node")), text)
    text = re.sub(r"\. In \w+ at \S+?\.(cpp|h):\d+\)?", ")", " ".join(text.split()))
    text = re.sub(r"^\[\w+\.cpp::\w+::\d+\] |^\w+::\w+: |Error Code \d+: ", "", text)
    text = re.sub(rf"^({_WRAPPERS}) \((.*)\)$", r"\2", text)
    return text if len(text) <= 300 else text[:297] + "..."


def is_out_of_memory(text: str) -> bool:
    """Says whether TensorRT's words mean that the GPU's memory was used up."""
    return any(word in text for word in ("OutOfMemory", "out of memory", "MemoryAllocation"))


def _is_unknown(reason: str, said: list[str]) -> bool:
    """Says whether an operator is missing: TensorRT then looks for a plugin, or just says no."""
    looked_for = "Plugin not found" in reason or "No importer registered" in reason
    return looked_for or reason.strip() == "false" or any("No importer" in line for line in said)


def _operator(error: Any, said: list[str]) -> str:
    if hasattr(error, "node_operator"):  # since 10.0
        return str(error.node_operator())
    for text in (*said[::-1], error.desc()):
        found = re.search(r"No importer registered for op: (\w+)", text)
        if found:
            return found.group(1)
    return ""


def _node(error: Any) -> str:
    """Returns a node's name in quotes, or its number where this version tells no more."""
    name = str(error.node_name()) if hasattr(error, "node_name") else ""
    return repr(name) if name else str(error.node())
