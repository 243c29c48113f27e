"""``edgeseg run`` with a network of named classes: sinks about results, --classes, anonymize."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.cli import main
from edgeseg.spec import METADATA_KEY, InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Size

SCENE = "synthetic://shapes?size=160x96&fps=25&frames=6&seed=2"
FAST = ["--set", "model.threads=1", "--set", "model.workers=2", "--no-window"]
SIZE = Size(40, 24)


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of three classes: dark is road, bright is pedestrian, nothing is sky."""
    spec = ModelSpec(
        name="bright",
        task="semantic",
        input=InputSpec(name="image", size=SIZE),
        outputs=(OutputSpec(name="scores", meaning="scores"),),
        classes=("road", "pedestrian", "sky"),
    )
    mix = np.repeat(np.array([-1 / 3, 1 / 3, 0], np.float32), 3).reshape(3, 3, 1, 1)
    weights: dict[str, NDArray[np.float32]] = {
        "mix": mix,
        "shift": np.array([127.5, -127.5, -200], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "mix", "shift"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 24, 40, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 24, 40])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    path = tmp_path_factory.mktemp("model") / "bright.onnx"
    onnx.save(model, path)
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["run", *arguments])
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_results_go_into_every_kind_of_sink_at_once(bright: Path, tmp_path: Path) -> None:
    areas, objects = tmp_path / "areas.csv", tmp_path / "objects.json"
    sinks = [tmp_path / "out.mp4", f"csv:{areas}", f"coco:{objects}", f"masks:{tmp_path}/m/"]
    options = [part for sink in sinks for part in ("-o", str(sink))]
    assert run(SCENE, "-m", str(bright), *options, *FAST, "-q") == 0
    with areas.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == list("012345")
    assert rows[5]["seconds"] == "0.200000"
    found = json.loads(objects.read_text())
    assert [c["name"] for c in found["categories"]] == ["road", "pedestrian", "sky"]
    assert len(found["images"]) == 6
    for row in rows:
        shares = {name: float(row[name]) for name in ("road", "pedestrian", "sky")}
        assert shares["sky"] == 0
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        mine = [a for a in found["annotations"] if a["image_id"] == int(row["frame"])]
        for annotation in mine:
            name = ("road", "pedestrian", "sky")[annotation["category_id"] - 1]
            assert annotation["area"] / (160 * 96) == pytest.approx(shares[name], abs=0.03)
    assert len(list((tmp_path / "m").glob("*.png"))) == 6


def test_classes_choose_what_is_hidden(bright: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(20, 90, (96, 160, 3), np.uint8)
    picture[:, 80:] += 140
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), picture)
    shown: dict[str, list[float]] = {}
    for name, more in {"people": [], "roads": ["--classes", " Road, sky "]}.items():
        arguments = [f"{tmp_path}/in/", "-m", str(bright), "-e", "anonymize", *more]
        assert run(*arguments, "-o", f"{tmp_path}/{name}/", *FAST, "-q") == 0
        (out,) = (tmp_path / name).iterdir()
        grey = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        shown[name] = [
            float(np.abs(np.diff(half.astype(int))).mean())
            for half in (grey[:, 4:70], grey[:, 90:156])
        ]
    assert shown["people"][0] > 10 > 2 > shown["people"][1]
    assert shown["roads"][1] > 10 > 2 > shown["roads"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--classes", "pedestrain"],
            "bright has no class 'pedestrain'; did you mean 'pedestrian'",
        ),
        (["--classes", "car", "-e", "blur"], "; the classes of bright: road, pedestrian, sky"),
        (["--set", "model.score=0.5"], "model.score: bright classifies pixels, it does not find"),
        (["--set", "effect.classes=[person]"], "bright has no class 'person'"),
        (["-e", "anonymize=mosaic"], "expected pixelate or blur"),
        (["-o", "csv:missing/a.csv"], "mkdir -p missing"),
        (["-o", "coco:a.json", "-o", "coco:./a.json"], "writes the same files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, bright: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(SCENE, "-m", str(bright), *arguments, *FAST, "-q") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_leaves_valid_files(bright: Path, tmp_path: Path) -> None:
    areas, objects = tmp_path / "areas.csv", tmp_path / "objects.json"
    endless = SCENE.replace("frames=6", "frames=100000")
    command = [sys.executable, "-m", "edgeseg", "run", endless, "-m", str(bright), *FAST, "-q"]
    with subprocess.Popen([*command, "-o", f"csv:{areas}", "-o", f"coco:{objects}"]) as process:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not (areas.exists() and areas.stat().st_size > 2000):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    lines = areas.read_text().splitlines()
    found = json.loads(objects.read_text())
    assert len(found["images"]) == len(lines) - 1 > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["areas.csv", "objects.json"]
