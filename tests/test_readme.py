"""README tells the truth: its figures are the committed ones, its commands are real."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from edgeseg.assets import configs_dir
from edgeseg.cli import main
from edgeseg.effects import EFFECTS, parse_effect
from edgeseg.model_file import shipped_models
from edgeseg.video.sink_uri import classify_sink

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
sys.path.insert(0, str(ROOT / "tools"))


def command_lines(start: str) -> list[list[str]]:
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    found = [line.removeprefix(".venv/bin/") for line in lines]
    return [shlex.split(line) for line in found if line.startswith(start)]


def test_figures_are_the_committed_ones() -> None:
    pytest.importorskip("yaml")
    from readme_figures import block, engines_block

    engines = (ROOT / "engines" / "README.md").read_text(encoding="utf-8")
    for figures, page in ((block, README), (engines_block, engines)):
        assert figures() in page, "run: python tools/readme_figures.py --write"


def test_pictures_exist() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


@pytest.mark.parametrize("words", command_lines("edgeseg run"), ids=" ".join)
def test_every_run_line_is_understood(words: list[str]) -> None:
    for flag, value in pairwise(words):
        if flag in ("-o", "--output"):
            classify_sink(value)
        elif flag in ("-e", "--effect"):
            parse_effect(value)
        elif flag in ("-m", "--model"):
            assert value in shipped_models() or value.endswith(".onnx")


@pytest.mark.parametrize("words", command_lines("edgeseg"), ids=" ".join)
def test_every_option_exists(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    commands = (
        "run",
        "eval",
        "build",
        "doctor",
        "models",
        "list",
        "check",
        "import",
        "pull",
        "verify",
    )
    command = [w for w in words[1:3] if w in commands]
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in words:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){word}\b", text), f"{word} not in --help"


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_effect_and_configuration_is_named() -> None:
    for effect in EFFECTS:
        assert f"`{effect}" in README, effect
    for path in configs_dir().glob("*.yaml"):
        assert path.stem in README, path.stem
