from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeseg.assets import configs_dir
from edgeseg.cli.run import load_config
from edgeseg.config import RunConfig, assign, load_yaml, parse_assignment, rebase, resolve
from edgeseg.errors import ConfigError
from edgeseg.types import Size


def test_defaults_resolve() -> None:
    assert resolve({}) == RunConfig()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"source": {"siz": "1x1"}}, r"source\.siz: unknown key; did you mean 'size'\?"),
        ({"outptu": {}}, r"outptu: unknown key; did you mean 'output'\?"),
        ({"source": {"fps": "fast"}}, r"source\.fps: .*valid number.*got 'fast'"),
        ({"source": {"size": "big"}}, r"source\.size: expected WIDTHxHEIGHT.*got 'big'"),
        ({"source": {"size": [0, 3]}}, r"source\.size: .*at least 1"),
        ({"source": {"size": [1, 2, 3]}}, r"source\.size: expected \[width, height\]"),
        ({"output": {"crf": 99}}, r"output\.crf: should be less than or equal to 51, got 99"),
        ({"output": {"preset": "turbo"}}, r"output\.preset: should be 'ultrafast'.*got 'turbo'"),
        ({"hud": True}, r"hud: should be a section with keys of its own, got True"),
        ({"output": {"sinks": 3}}, r"output\.sinks: should be a list, got 3"),
        ({"effect": {"name": 3}}, r"effect\.name: should be text, got 3"),
        ({"source": {"uri": False}}, r"source\.uri: should be text, got False"),
        ({"runtime": {"policy": "hope"}}, r"runtime\.policy: .*got 'hope'"),
        ({"model": 3}, r"model: .*got 3"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(tree, where="run.yaml")


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({"source": {"fps": -1}, "hud": {"show": "loud"}}, where="run.yaml")
    text = str(caught.value)
    assert text.startswith("run.yaml: ")
    assert "source.fps" in text
    assert "hud.show" in text


def test_set_reads_yaml_values() -> None:
    assert parse_assignment("output.crf=20") == (["output", "crf"], 20)
    assert parse_assignment("source.size=640x480") == (["source", "size"], "640x480")
    assert parse_assignment("output.audio=false") == (["output", "audio"], False)
    tree: dict[str, object] = {}
    assign(tree, *parse_assignment("source.size=[640, 480]"), where="--set")
    assert resolve(tree).source.size == Size(640, 480)


@pytest.mark.parametrize("word", ["auto", "on", "off"])
def test_on_and_off_mean_themselves(word: str) -> None:
    tree: dict[str, object] = {}
    assign(tree, *parse_assignment(f"hud.show={word}"), where="--set")
    assert resolve(tree).hud.show == word


@pytest.mark.parametrize("text", ["crf", "=3", " =3"])
def test_set_without_key_or_value(text: str) -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        parse_assignment(text)


def test_set_with_broken_yaml() -> None:
    with pytest.raises(ConfigError, match=r"--set output\.crf="):
        parse_assignment("output.crf=[1")


def test_set_into_a_value() -> None:
    with pytest.raises(ConfigError, match="model is a value, not a section"):
        assign({"model": "x"}, ["model", "name"], 1, where="--set")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "just words"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_yaml(path)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: [1\n")
    with pytest.raises(ConfigError, match="not a readable YAML file"):
        load_yaml(path)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert resolve(load_yaml(path)) == RunConfig()


def test_paths_count_from_the_configuration_file() -> None:
    tree = {
        "source": {"uri": "clips/a.mp4"},
        "model": {"name": "nets/mine.onnx"},
        "effect": {"name": "replace=beach.jpg"},
        "output": {
            "sinks": [
                "out.mp4",
                "masks:labels/",
                "csv:a.csv",
                "coco:a.json",
                "null://",
                "/abs/x.mkv",
            ]
        },
        "report": "r.json",
    }
    config = resolve(rebase(tree, Path("/home/me")))
    assert config.source.uri == "/home/me/clips/a.mp4"
    assert config.model.name == "/home/me/nets/mine.onnx"
    assert config.effect.name == "replace=/home/me/beach.jpg"
    assert config.output.sinks == (
        "/home/me/out.mp4",
        "masks:/home/me/labels/",
        "csv:/home/me/a.csv",
        "coco:/home/me/a.json",
        "null://",
        "/abs/x.mkv",
    )
    assert config.report == "/home/me/r.json"


@pytest.mark.parametrize("uri", ["0", "rtsp://cam/1", "gst:videotestsrc", "csi://0", "/dev/video0"])
def test_devices_and_urls_are_no_paths(uri: str) -> None:
    assert rebase({"source": {"uri": uri}}, Path("/home/me"))["source"]["uri"] == uri


SHIPPED = sorted(configs_dir().glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[p.stem for p in SHIPPED])
def test_every_shipped_configuration_loads(path: Path) -> None:
    config = resolve(load_config(path.stem), where=path.name)
    assert config.source.uri == "0"


def test_an_unknown_shipped_name_has_a_near_match() -> None:
    with pytest.raises(ConfigError, match="did you mean 'portrait_webcam'"):
        load_config("portrait_webcm")


def test_the_configuration_page_names_every_key() -> None:
    page = (configs_dir() / "README.md").read_text(encoding="utf-8")
    for section, field in RunConfig.model_fields.items():
        assert f"`{section}`" in page, section
        for key in getattr(field.annotation, "model_fields", {}):
            assert re.search(rf"^\| `{section}` \|.*\b{key}\b", page, re.MULTILINE), key


def test_natural_yaml_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("source: {uri: 2}\noutput: {sinks: out.mp4}\n")
    config = resolve(load_yaml(path))
    assert config.source.uri == "2"
    assert config.output.sinks == (str(tmp_path / "out.mp4"),)
