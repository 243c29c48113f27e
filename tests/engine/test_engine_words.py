"""What is said of versions, devices, layers and TensorRT's own messages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeseg.engine.dla import placement_of
from edgeseg.engine.manifest import Wanted, differences
from edgeseg.engine.parse import clean
from edgeseg.engine.progress import Phases
from edgeseg.engine.support import (
    JETPACKS,
    jetpack_name,
    jetpack_of,
    l4t_release,
    minimum_sm,
)

ONE = Wanted(
    model="driving",
    model_sha256="aa",
    variant="fp16",
    origin="bb",
    library="tensorrt",
    version="10.3.0",
    gpu="Orin",
    sm="sm_87",
    precision="fp16",
    typing="strong",
    dla=None,
    options={"level": 3},
)


def test_equal_ones_do_not_differ() -> None:
    assert differences(ONE, replace(ONE, options={"level": 3})) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "8.6.1"}, "was built with tensorrt 8.6.1, this machine has tensorrt 10.3.0"),
        ({"sm": "sm_72"}, "was built for Orin (sm_72), this machine has Orin (sm_87)"),
        ({"gpu": ""}, "was built for any GPU (sm_87), this machine has Orin (sm_87)"),
        ({"model_sha256": "cc"}, "was built from another version of driving"),
        ({"origin": "cc"}, "was built from another fp16 file than there is now"),
        (
            {"typing": "weak", "variant": "fp32"},
            "is fp16 from the fp32 file, weakly typed; wanted is fp16 from the fp16 file, strongly "
            "typed",
        ),
        ({"dla": 1}, "is for DLA core 1, wanted is the GPU"),
        ({"options": {"level": 5}}, "was built with level 5, wanted is level 3"),
    ],
)  # fmt: skip
def test_each_difference_is_a_sentence(change: dict[str, object], said: str) -> None:
    assert differences(replace(ONE, **change), ONE) == said  # type: ignore[arg-type]


def test_several_differences_are_all_said() -> None:
    said = differences(replace(ONE, version="8.6.1", dla=0), ONE)
    assert said.split("; ") == [
        "was built with tensorrt 8.6.1, this machine has tensorrt 10.3.0",
        "is for DLA core 0, wanted is the GPU",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Invalid Node - dq\nITensor::getDimensions: Error Code 4: API Usage Error (dq: input "
            "has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8. In checkType at "
            "/_src/optimizer/common/nodeBase.cpp:456)\n[checkMacros.cpp::catchCudaError::250] "
            "Error Code 1: Cuda Runtime (In catchCudaError at /_src/x.cpp:250 (cudaError 35: x))",
            "dq: input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8",
        ),
        (
            "[runtime.cpp::readHeader::765] Error Code 2: Internal Error (Assertion bufferSize >= "
            "minBufferSize failed.  In readHeader at /_src/runtime/dispatch/runtime.cpp:765)",
            "Assertion bufferSize >= minBufferSize failed",
        ),
        (
            "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse.",
            "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse.",
        ),
    ],
)
def test_tensorrt_s_messages_lose_their_source_lines(text: str, said: str) -> None:
    assert clean(text) == said
    assert clean("x" * 1000) == "x" * 297 + "..."


LAYERS = {
    "Layers": [
        {"Name": "{ForeignNode[conv1...relu4]}", "LayerType": "DLA"},
        {"Name": "resize", "LayerType": "Resize"},
        {"Name": "{ForeignNode[softmax]}", "LayerType": "Myelin"},
    ]
}


def test_layers_are_told_apart_by_where_they_run() -> None:
    placement = placement_of(json.dumps(LAYERS))
    assert placement.dla == ("{ForeignNode[conv1...relu4]}",)
    assert placement.gpu == ("resize", "{ForeignNode[softmax]}")
    assert str(placement) == (
        "DLA: 1 layer ({ForeignNode[conv1...relu4]}); "
        "GPU: 2 layers (resize, {ForeignNode[softmax]})"
    )


def test_layers_told_by_name_only_are_sorted_too() -> None:
    placement = placement_of(json.dumps({"Layers": ["{ForeignNode[a...b]}", "resize"]}))
    assert (placement.dla, placement.gpu) == (("{ForeignNode[a...b]}",), ("resize",))


def test_a_report_that_is_no_json_places_nothing() -> None:
    for text in ("", "no", "[1]"):
        assert str(placement_of(text)) == "DLA: 0 layers; GPU: 0 layers"


def test_l4t_s_release_names_the_jetpack(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64\n")
    assert l4t_release(release) == "36.4.3"
    assert l4t_release(tmp_path / "none") == ""
    row = jetpack_of("36.4.3")
    assert row is not None
    assert (row.name, row.tensorrt) == ("6.1, 6.2", "10.3.0")
    assert jetpack_name("36.4.3") == "6.1, 6.2 (L4T 36.4.3)"
    assert jetpack_name("32.7.4") == "unknown (L4T 32.7.4)"
    assert jetpack_name("") == ""


def test_jetpacks_are_in_order() -> None:
    assert [row.l4t for row in JETPACKS] == sorted(row.l4t for row in JETPACKS)


@pytest.mark.parametrize(
    ("library", "version", "sm"),
    [
        ("tensorrt", "8.5.2", (5, 0)),
        ("tensorrt", "10.3.0", (7, 0)),
        ("tensorrt", "10.13.3.9", (7, 5)),
        ("tensorrt", "12.0", (7, 5)),
        ("tensorrt", "unknown", (5, 0)),
        ("tensorrt-rtx", "1.7.1.116", (7, 5)),
    ],
)
def test_the_oldest_gpu_of_a_version(library: str, version: str, sm: tuple[int, int]) -> None:
    assert minimum_sm(library, version) == sm


def test_nested_phases_add_up() -> None:
    phases = Phases()
    phases.start("build", None, 4)
    assert phases.step("build", 0) == ("build", 0.25)
    phases.start("tactics", "build", 10)
    assert phases.step("tactics", 4) == ("tactics", (1 + 0.5) / 4)
    phases.finish("tactics")
    assert phases.step("build", 3) == ("build", 1.0)
    assert phases.step("never started", 3) == ("never started", 1.0)
