"""Tables of TensorRT's names, made from listings of its bindings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "compact_api.py"
sys.path.insert(0, str(TOOL.parent))

from compact_api import compact, parameters  # noqa: E402


@pytest.mark.parametrize(
    ("signature", "names"),
    [
        ("create(self: Builder, logger: ILogger) -> None", "logger"),
        ("create_network(self: Builder, flags: int = 0) -> INetwork", "flags="),
        ("reset(self: Builder) -> None", ""),
        ("__init__(self, /, *args, **kwargs)", "*"),
        ("nptype(trt_type)", "trt_type"),
        ("f(self: A, x: dict[int, str], y: Tuple[int, int] = (1, 2)) -> bool", "x,y="),
        ("f(self: A, level: Severity = <Severity.WARNING: 2>) -> None", "level="),
    ],
)
def test_a_signature_becomes_its_parameters(signature: str, names: str) -> None:
    assert parameters(signature) == names


LISTING = {
    "version": "1.2",
    "classes": {
        "Flag": {"bases": [], "enum": {"A": 0}},
        "Thing": {
            "bases": ["Base"],
            "methods": {
                "__init__": {"sig": ["__init__(self, /, *args, **kwargs)"]},
                "do": {"sig": ["do(self: Thing, x: int) -> int", "do(self: Thing) -> int"]},
            },
            "properties": {
                "size": {"get": "(x) -> int", "set": "(x, y) -> None"},
                "w": {"set": ""},
            },
        },
    },
    "functions": {"volume": {"sig": ["volume(iterable)"]}},
    "values": {"float32": "DataType: DataType.FLOAT", "attr": "left over"},
}


def test_a_listing_becomes_a_table(tmp_path: Path) -> None:
    table = compact(LISTING)
    assert table["classes"] == {
        "Flag": {"e": {"A": 0}},
        "Thing": {"b": ["Base"], "m": {"do": ["x", ""]}, "p": {"size": "rw", "w": "w"}},
    }
    assert (table["functions"], table["values"]) == ({"volume": ["iterable"]}, ["float32"])
    listing = tmp_path / "tensorrt_rtx_api.json"
    listing.write_text(json.dumps(LISTING))
    run = [sys.executable, str(TOOL), str(listing), "-o", str(tmp_path)]
    subprocess.run(run, check=True, capture_output=True, timeout=30)
    assert json.loads((tmp_path / "rtx-1.2.json").read_text()) == table
