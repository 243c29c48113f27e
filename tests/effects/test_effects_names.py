from pathlib import Path

import numpy as np
import pytest

from edgeseg.config import EffectConfig
from edgeseg.effects import EFFECTS, make_effect, parse_effect
from edgeseg.effects.colors import parse_color
from edgeseg.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("blur", ("blur", None)),
        ("blur=0.7", ("blur", "0.7")),
        (" Blur = 0.7 ", ("blur", "0.7")),
        ("color=#00ff00", ("color", "#00ff00")),
        ("replace=a=b.png", ("replace", "a=b.png")),
        ("side-by-side=blur=0.3", ("side-by-side", "blur=0.3")),
        ("none", ("none", None)),
    ],
)
def test_parses(text: str, want: tuple[str, str | None]) -> None:
    assert parse_effect(text) == want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blurr", "unknown effect 'blurr'; did you mean 'blur'?"),
        ("sidebyside", "did you mean 'side-by-side'?"),
        ("qqq", "unknown effect 'qqq'; known: overlay, blur, replace"),
        ("", "unknown effect ''; known"),
        ("blur=", "effect blur=: a value is missing after '='"),
        ("blur=2", "effect blur=2: strength must be a number from 0 to 1"),
        ("blur=-0.1", "strength must be a number from 0 to 1"),
        ("blur=nan", "strength must be a number from 0 to 1"),
        ("blur=much", "effect blur=much: strength must be a number from 0 to 1"),
        ("overlay=1.5", "effect overlay=1.5: opacity must be a number from 0 to 1"),
        ("color=grean", "expected #rrggbb or a colour name; did you mean 'green'?"),
        ("color=#12345", "effect color=#12345: expected #rrggbb or a colour name"),
        ("color=#gggggg", "expected #rrggbb or a colour name; named colours: black"),
        ("anonymize=pixelat", "effect anonymize=pixelat: expected pixelate or blur; did you mean"),
        ("alpha=0.5", "effect alpha: takes no value, got '0.5'"),
        ("none=1", "effect none: takes no value, got '1'"),
        ("replace", "effect replace: name an image or a video, as in replace=beach.jpg"),
        ("replace=missing.png", "effect replace=missing.png: no such file"),
        ("replace=.", "effect replace=.: is a folder; expected an image or a video"),
        ("side-by-side=side-by-side", "cannot hold another side-by-side"),
        ("side-by-side=blurr", "did you mean 'blur'?"),
    ],
)
def test_refuses_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_effect(text, EffectConfig())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["broken.png", "broken.jpg", "empty.webp"])
def test_refuses_an_unreadable_image(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"not a picture at all")
    with pytest.raises(ConfigError, match=f"replace={path}: not a readable image"):
        make_effect(f"replace={path}")


def test_refuses_an_unreadable_video(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(np.arange(4000, dtype=np.uint8).tobytes())
    with pytest.raises(ConfigError, match="neither an image nor a video that can be read"):
        make_effect(f"replace={path}")
    assert caplog.text == "", "said once, by the error"


def test_effects_without_an_argument_have_a_default() -> None:
    for name in EFFECTS:
        if name != "replace":
            assert make_effect(name).name == name


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("#00ff00", (0, 255, 0)),
        ("00FF7f", (0, 255, 127)),
        ("#0f8", (0, 255, 136)),
        ("green", (0, 255, 0)),
        (" Black ", (0, 0, 0)),
        ("white", (255, 255, 255)),
    ],
)
def test_colours(text: str, want: tuple[int, int, int]) -> None:
    assert parse_color(text) == want
