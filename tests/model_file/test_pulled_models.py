from __future__ import annotations

from pathlib import Path

import pytest
from tiny_onnx import tiny_model

from edgeseg.assets import user_models_dir
from edgeseg.errors import ModelError
from edgeseg.model_file import find_model, load_model, pulled_models, shipped_models


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = tmp_path / "edgeseg" / "models"
    made.mkdir(parents=True)
    return made


def test_a_pulled_model_is_found_by_name(folder: Path) -> None:
    assert pulled_models() == {}
    path = tiny_model(folder / "sinet.onnx")
    assert pulled_models() == {"sinet": path}
    assert load_model("sinet").path == path


def test_a_shipped_name_goes_before_a_pulled_one(folder: Path) -> None:
    tiny_model(folder / "portrait.onnx")
    assert find_model("portrait") == shipped_models()["portrait"]


def test_unknown_names_list_the_pulled_ones_too(folder: Path) -> None:
    tiny_model(folder / "sinet-cityscapes.onnx")
    with pytest.raises(
        ModelError,
        match=r"'sinet-cityscape'; did you mean 'sinet-cityscapes'\? \(shipped: .*; pulled: sinet-",
    ):
        find_model("sinet-cityscape")


def test_the_folder_follows_the_platforms_habit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative/means/nothing")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setattr("sys.platform", "linux")
    assert user_models_dir() == Path("/home/somebody/.local/share/edgeseg/models")
    monkeypatch.setattr("sys.platform", "darwin")
    assert user_models_dir() == Path("/home/somebody/Library/Application Support/edgeseg/models")
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/appdata")
    assert user_models_dir() == Path("/appdata/edgeseg/models")


def test_without_a_home_nothing_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert user_models_dir() is None
    assert pulled_models() == {}
