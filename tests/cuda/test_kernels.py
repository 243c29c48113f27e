"""kernels.cu itself: run on the processor against its twins, and compiled for GPUs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulation import KERNELS, emulate, half_tables
from pictures import input_spec, noise, packed, recipe_for
from test_twins import COLORS, described, random_scores

from edgeseg.cuda.compile import OPTIONS
from edgeseg.cuda.kernels import ROW, TILE
from edgeseg.cuda.recipes import INPUT_RECIPE, SCORE_RECIPE
from edgeseg.cuda.twins import i420_to_input, person_to_bytes, scores_to_labels
from edgeseg.types import ColorSpace, Size

GUARD = 64
"""Bytes after what a kernel may write."""


def run_input(picture: Any, recipe: np.void, expected: Any) -> Any:
    out = np.full(expected.nbytes + GUARD, 0xA5, np.uint8)
    damaged = np.array([7], np.uint32)
    told = np.array([recipe], INPUT_RECIPE)
    size = (int(recipe["width"]), int(recipe["height"]))
    emulate("i420_to_input", size, TILE, [picture, told, out, damaged])
    assert damaged[0] == 0, "the flag was not cleared"
    assert (out[expected.nbytes :] == 0xA5).all(), "written past the end"
    return out[: expected.nbytes].view(expected.dtype).reshape(expected.shape)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize(
    "size", [Size(1, 1), Size(101, 67), Size(40, 200), Size(640, 360), Size(333, 517)]
)
def test_the_input_kernel_is_its_twin_bit_for_bit(
    size: Size, fit: str, layout: str, dtype: str
) -> None:
    whole = {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4), "dtype": "float32"}
    spec = input_spec((53, 40), fit=fit, layout=layout, **({} if dtype == "uint8" else whole))
    picture = packed(noise(size))
    recipe = recipe_for(size, spec, dtype=dtype)
    expected = i420_to_input(picture, recipe)
    np.testing.assert_array_equal(run_input(picture, recipe, expected), expected)


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_input_kernel_in_every_colour_space(color: ColorSpace, order: str) -> None:
    picture, spec = packed(noise(Size(64, 64))), input_spec((32, 32), order=order)
    recipe = recipe_for(Size(64, 64), spec, color)
    expected = i420_to_input(picture, recipe)
    np.testing.assert_array_equal(run_input(picture, recipe, expected), expected)


def run_decision(name: str, scores: Any, recipe: np.void) -> tuple[Any, bool]:
    pixels = int(recipe["width"]) * int(recipe["height"])
    out, damaged = np.full(pixels + GUARD, 0xA5, np.uint8), np.zeros(1, np.uint32)
    told = np.array([recipe], SCORE_RECIPE)
    emulate(name, (pixels, 1), (ROW, 1), [np.ascontiguousarray(scores), told, out, damaged])
    assert (out[pixels:] == 0xA5).all(), "written past the end"
    return out[:pixels], bool(damaged[0])


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("channels", [1, 2, 11])
@pytest.mark.parametrize("size", [None, Size(39, 27), Size(26, 9), Size(31, 40)])
def test_the_label_kernel_is_its_twin(
    layout: str, dtype: str, channels: int, size: Size | None
) -> None:
    scores = random_scores(channels, layout, dtype, seed=channels)
    if dtype != "uint8":
        scores.ravel()[[5, 50]] = np.nan, np.inf
    recipe = described(scores, layout, size)[1]
    labels, damaged = run_decision("scores_to_labels", scores, recipe)
    expected, twin_damaged = scores_to_labels(scores.ravel(), recipe)
    np.testing.assert_array_equal(labels, expected)
    assert damaged == twin_damaged == (dtype != "uint8")


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize(
    ("activation", "channels", "channel"),
    [("none", 1, None), ("none", 2, 1), ("sigmoid", 1, None), ("softmax", 2, 0), ("softmax", 4, 2)],
)
def test_the_person_kernel_is_its_twin_within_a_level(
    layout: str, dtype: str, activation: str, channels: int, channel: int | None
) -> None:
    scores = random_scores(channels, layout, dtype, seed=channels)
    if dtype != "uint8":
        scores[(0, slice(None), 4, 5) if layout == "nchw" else (0, 4, 5)] = np.nan
    recipe = described(scores, layout, activation=activation, channel=channel)[1]
    ours, damaged = run_decision("person_to_bytes", scores, recipe)
    expected, twin_damaged = person_to_bytes(scores.ravel(), recipe)
    apart = np.abs(ours.astype(int) - expected)
    assert apart.max() <= (activation != "none")  # two libraries' exp differ in the last bit
    assert (apart > 0).mean() <= 0.01
    assert damaged == twin_damaged == (dtype != "uint8")


def test_the_emulations_halves_are_numpys() -> None:
    values, back = half_tables()
    halves = np.arange(65536, dtype=np.uint16)
    numbers = np.isfinite(values)
    np.testing.assert_array_equal(values[numbers], halves.view(np.float16)[numbers])
    np.testing.assert_array_equal(back[numbers], halves[numbers])


def test_kernels_compile_for_every_generation(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    listed = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True)
    wanted = {"sm_75", "sm_87", "sm_90", "sm_110"} & set(listed.stdout.split())
    assert wanted
    for name in sorted(wanted):
        code = f"arch={name.replace('sm', 'compute')},code={name}"
        out = tmp_path / f"{name}.cubin"
        command = [nvcc, "-cubin", "-gencode", code, *OPTIONS, "-Werror", "all-warnings"]
        subprocess.run([*command, str(KERNELS), "-o", str(out)], check=True)
        image = out.read_bytes()
        assert image.startswith(b"\x7fELF")
        for kernel in (b"i420_to_input", b"scores_to_labels", b"person_to_bytes"):
            assert kernel in image
