"""The layering: an import points to a strictly lower layer, and torch stays in its tower."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgeseg

PACKAGE = Path(edgeseg.__file__).parent

LAYERS = {
    0: ["atomic", "errors", "file_lock", "labels", "assets", "once", "system_libs"],
    1: ["types", "meter", "validation"],
    2: ["protocols", "spec", "device"],
    3: ["config", "ops", "model_file", "ort_import"],
    4: ["cuda", "precision", "segment", "video", "effects", "runtime", "report"],
    5: ["controls", "engine"],
    6: ["backends"],
    7: ["assemble"],
    8: ["api", "evaluate", "doctor", "model_check", "pull"],
    9: ["builder", "verify"],
    10: ["cli"],
}
TOWER = ["models", "training"]
LAZY = "cli"
"""Commands may use the tower, inside the functions that need it."""
RANK = {name: rank for rank, names in LAYERS.items() for name in names}


def unit(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def loaded_at_once(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts of a module that run when it is imported."""
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing_only and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from loaded_at_once(node)


def imports_of(path: Path, *, at_once: bool = False) -> set[str]:
    """Modules of ours a file imports, anywhere or only when it is imported itself."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in loaded_at_once(tree) if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names if node.module == "edgeseg"}
    return {name for name in found if name.split(".")[0] == "edgeseg"}


def files() -> list[tuple[str, Path]]:
    return [(path.relative_to(PACKAGE).as_posix(), path) for path in sorted(PACKAGE.rglob("*.py"))]


def owner(relative: str) -> str:
    return relative.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize(("relative", "path"), files(), ids=[r for r, _ in files()])
def test_imports_point_downwards(relative: str, path: Path) -> None:
    own = owner(relative)
    if own in ("__init__", "__main__"):
        return
    for module in imports_of(path):
        other = unit(module)
        if other in ("", own, "__version__") or module == "edgeseg":
            continue
        if own in TOWER:
            assert other in TOWER or RANK[other] <= RANK["ops"], f"{relative} imports {module}"
        elif own == LAZY and other in TOWER:
            assert module not in imports_of(path, at_once=True), f"{relative} imports {module}"
        else:
            assert other not in TOWER, f"{relative} imports {module} (torch)"
            assert RANK[other] < RANK[own], f"{relative} imports {module}: not a lower layer"


@pytest.mark.parametrize(("relative", "path"), files(), ids=[r for r, _ in files()])
def test_torch_is_imported_only_in_the_tower(relative: str, path: Path) -> None:
    if owner(relative) in TOWER:
        return
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    heavy = {"torch", "onnx", "matplotlib"}
    assert not names & (heavy - {"onnx"} if owner(relative) == "precision" else heavy)


REPORTING = {"onnxruntime": "ort_import.py", "openvino": "backends/openvino.py"}
"""Packages that report to their makers, and the one module that imports them: there they do not."""


@pytest.mark.parametrize(("package", "only"), REPORTING.items())
def test_packages_that_report_are_imported_in_one_place(package: str, only: str) -> None:
    found = set()
    for relative, path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if package in names:
                found.add(relative)
    assert found == {only}


def test_every_unit_has_a_layer() -> None:
    known = {*RANK, *TOWER, "__init__", "__main__"}
    units = {owner(relative) for relative, _ in files()}
    assert units <= known, f"not in the table: {units - known}"


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, edgeseg, edgeseg.cli;"
        "heavy = {'cv2', 'onnxruntime', 'torch', 'av', 'typer'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
