"""Reading synthetic:// addresses: every option, and one clear line for every mistake."""

from __future__ import annotations

from fractions import Fraction

import pytest

from edgeseg.errors import ConfigError, SourceNotFound
from edgeseg.types import Size
from edgeseg.video.synthetic import SCENES, SyntheticOptions, parse_uri


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_alone_has_the_documented_defaults(scene: str) -> None:
    assert parse_uri(f"synthetic://{scene}") == SyntheticOptions(
        scene, Size(1280, 720), Fraction(30), frames=0, seed=1
    )


def test_every_option_is_read() -> None:
    uri = (
        "synthetic://road/?size=101x67&fps=30000/1001&frames=9&seed=4&paced=1&stall=2:0.5,4:1"
        "&stall=6:2&cut=3&repeat=5,7&cut=8&fail=8&noise=2.5&light=0.25&speed=3"
    )
    assert parse_uri(uri) == SyntheticOptions(
        scene="road",
        size=Size(101, 67),
        fps=Fraction(30000, 1001),
        frames=9,
        seed=4,
        paced=True,
        stalls={2: 0.5, 4: 1.0, 6: 2.0},
        cuts=frozenset({3, 8}),
        repeats=frozenset({5, 7}),
        fail=8,
        noise=2.5,
        light=0.25,
        speed=3.0,
    )


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        ("portrat", r"no synthetic scene 'portrat'; did you mean 'portrait'\?"),
        ("", "no synthetic scene ''; known: portrait, road, shapes"),
        ("road/side", "no synthetic scene 'road/side'"),
    ],
)
def test_an_unknown_scene_is_named_with_its_neighbour(scene: str, message: str) -> None:
    with pytest.raises(SourceNotFound, match=message):
        parse_uri(f"synthetic://{scene}?frames=3")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sise=64x64", r"unknown option 'sise'; did you mean 'size'\?"),
        ("qqq=1", "unknown option 'qqq'; known: size, fps, frames"),
        ("size=64", "size: expected WIDTHxHEIGHT, each 1 to 8192, .* got '64'"),
        ("size=0x64", "size: expected WIDTHxHEIGHT"),
        ("size=8193x2", "size: expected WIDTHxHEIGHT"),
        ("fps=0", "fps: expected a rate above 0"),
        ("fps=-30", "fps: expected a rate above 0"),
        ("fps=30/0", "fps: expected a rate above 0"),
        ("fps=1e9", "fps: expected a rate above 0"),
        ("fps=29.97000001", "fps: expected a rate above 0"),
        ("fps=fast", "fps: expected a rate .* 30000/1001, got 'fast'"),
        ("frames=-1", "frames: expected a whole number of frames"),
        ("frames=ten", "frames: expected a whole number of frames, 0 for endless, got 'ten'"),
        ("seed=1.5", "seed: expected a whole number from 0, got '1.5'"),
        ("paced=yes", "paced: expected 0 or 1, got 'yes'"),
        ("stall=3", "stall: expected FRAME:SECONDS such as 30:1.5"),
        ("stall=3:nan", "stall: expected FRAME:SECONDS"),
        ("stall=3:1:2", "stall: expected FRAME:SECONDS"),
        ("cut=0", "cut: expected a frame number from 1"),
        ("repeat=2,", "repeat: expected a frame number from 1, several with commas, got '2,'"),
        ("fail=", "fail: expected a frame number from 0, got ''"),
        ("noise=65", "noise: expected grey levels from 0 to 64"),
        ("light=inf", "light: expected a share of the brightness from 0 to 0.9"),
        ("speed=-1", "speed: expected a factor from 0 to 100"),
        ("seed=1&seed=2", "seed is given twice; keep one"),
        ("cut=4&repeat=4", "frame 4 cannot be both cut and repeat; drop one"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_was_expected(query: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_uri(f"synthetic://shapes?{query}")
    assert "\n" not in str(caught.value)
