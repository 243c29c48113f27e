"""Building through every version's names: what is asked of TensorRT, and what comes back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from engine_kit import EVERY, driver_of, install, request_of, tiny
from fake_tensorrt import RTX, FakeGpu, make_tensorrt
from onnx import TensorProto, helper

from edgeseg.engine.build import ensure_engine
from edgeseg.engine.cache import EngineFile
from edgeseg.engine.library import load_library
from edgeseg.engine.network import typing_of
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError
from edgeseg.model_file import ModelFile


def build(version: str, folder: Path, **options: Any) -> EngineFile:
    model = options.pop("model", None) or tiny(folder)
    return ensure_engine(model, request_of(version, folder, **options), driver=driver_of(sm=(8, 7)))


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the FP16 converter, which has tests of its own: an FP16-typed tiny network."""
    from edgeseg.precision import fp16

    monkeypatch.setattr(fp16, "to_fp16", lambda model: half_typed(model))


def half_typed(model: ModelFile) -> bytes:
    """The tiny network with its arithmetic in FP16, FP32 out."""
    loaded = onnx.load_from_string(model.data)
    for node in loaded.graph.node:
        if node.op_type == "Cast":
            node.attribute[0].i = TensorProto.FLOAT16
    for value in loaded.graph.initializer:
        array = onnx.numpy_helper.to_array(value).astype("float16")
        value.CopyFrom(onnx.numpy_helper.from_array(array, value.name))
    last = loaded.graph.node[-1]
    last.output[0] = "half"
    loaded.graph.node.append(
        helper.make_node("Cast", ["half"], ["person"], to=TensorProto.FLOAT, name="out")
    )
    return bytes(loaded.SerializeToString())


@pytest.mark.parametrize("version", EVERY)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.usefixtures("half")
def test_every_version_builds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, precision: str
) -> None:
    install(monkeypatch, version)
    made = build(version, tmp_path, precision=precision)
    wanted = made.manifest.wanted
    weak = version.startswith("8")
    assert made.built
    assert made.data.startswith(b"fake TensorRT engine")
    assert (wanted.version, wanted.sm) == (version.removeprefix("rtx-"), "sm_87")
    assert wanted.typing == ("weak" if weak else "strong")
    assert wanted.variant == ("fp16" if precision == "fp16" and not weak else "fp32")
    assert made.manifest.flags == (["FP16"] if precision == "fp16" and weak else [])
    assert bool(made.manifest.timing_cache) == (version != RTX)


@pytest.mark.parametrize("version", EVERY)
def test_what_is_set_is_what_the_version_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    module = install(monkeypatch, version)
    build(version, tmp_path, workspace=1 << 28, level=5)
    (config,) = module.Builder._world.seen
    assert config._pools == {module.MemoryPoolType.WORKSPACE: 1 << 28}
    assert config.get_flag(module.BuilderFlag.TF32) is False, "10 bits are not FP32"
    flags = module.NetworkDefinitionCreationFlag
    names = [name for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED") if hasattr(flags, name)]
    bits = sum(1 << int(getattr(flags, name)) for name in names)
    assert config._network._flags == bits, "no other flag, whatever its number is called"
    if version == "8.5.2":
        assert not hasattr(config, "builder_optimization_level")
    else:
        assert config.builder_optimization_level == 5
    if version == RTX:
        assert config._targets == {0: module.ComputeCapability.CURRENT}


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9"])
def test_version_10_takes_both_typings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    install(monkeypatch, version)
    weak = build(version, tmp_path, precision="fp16", typing="weak")
    assert (weak.manifest.wanted.variant, weak.manifest.flags) == ("fp32", ["FP16"])


@pytest.mark.parametrize(
    ("version", "typing", "other"), [("8.6.1", "strong", "weak"), ("11.4.0.106", "weak", "strong")]
)
def test_a_typing_the_version_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, typing: str, other: str
) -> None:
    install(monkeypatch, version)
    with pytest.raises(ConfigError, match=f"{version} has no {typing} typing, only {other}"):
        build(version, tmp_path, precision="fp16", typing=typing)


def test_a_dla_is_weakly_typed_while_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, typing in (("8.6.1", "weak"), ("10.3.0", "weak"), ("11.4.0.106", "strong")):
        install(monkeypatch, version)
        request = request_of(version, Path(), precision="fp16", dla=0)
        assert typing_of(load_library("tensorrt"), request) == typing


def test_timings_are_kept_for_the_next_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0")
    first = build("10.3.0", tmp_path)
    second = build("10.3.0", tmp_path, level=4)
    assert (first.manifest.reused, second.manifest.reused) == (False, True)
    cache = tmp_path / "engines" / second.manifest.timing_cache
    cache.write_bytes(b"9.9.9 7")
    third = build("10.3.0", tmp_path, level=2)
    assert not third.manifest.reused
    assert cache.read_bytes().startswith(b"10.3.0 ")


@pytest.mark.parametrize("version", EVERY)
def test_an_operator_it_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    install(monkeypatch, version)
    with pytest.raises(ModelError) as raised:
        build(version, tmp_path, model=with_operator(tmp_path, "Unique"))
    title = f"TensorRT{'-RTX' if version == RTX else ''} {version.removeprefix('rtx-')}"
    node = "'odd'" if not version.startswith("8") else "1"
    assert f"{title} has no operator Unique (node {node}): " in str(raised.value)
    assert str(raised.value).endswith("--backend onnxruntime runs it")


def test_an_operator_of_a_later_version_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "8.5.2")
    with pytest.raises(ModelError, match=r"no operator Hardmax .* TensorRT 10\.0 has it"):
        build("8.5.2", tmp_path, model=with_operator(tmp_path, "Hardmax"))


def with_operator(folder: Path, operator: str) -> ModelFile:
    """The tiny network with a node of some operator between its first node and the rest."""
    model = tiny(folder)
    loaded = onnx.load_from_string(model.data)
    first, second = loaded.graph.node[0], loaded.graph.node[1]
    second.input[0] = "more"
    for index, node in enumerate(
        (
            helper.make_node(operator, [first.output[0]], ["odd"], name="odd"),
            helper.make_node("ReduceMax", ["odd"], ["most"], keepdims=0),
            helper.make_node("Add", [first.output[0], "most"], ["more"]),
        )
    ):
        loaded.graph.node.insert(1 + index, node)
    return replace(model, data=loaded.SerializeToString())


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("memory", ModelError, "not enough GPU memory to build the engine with TensorRT 10.3.0"),
        ("no tactic", ModelError, "cannot build an engine: Could not find any implementation for"),
        ("sm", BackendUnavailable, r"does not run on Orin \(sm_87\): Target GPU SM 87 is not supp"),
    ],
)
def test_a_build_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, kind: type, said: str
) -> None:
    install(monkeypatch, "10.3.0", faults=(fault,))
    with pytest.raises(kind, match=said) as raised:
        build("10.3.0", tmp_path)
    assert "\n" not in str(raised.value)


def test_a_gpu_too_old_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "11.4.0.106", sm=(7, 2), name="Xavier")
    request = request_of("11.4.0.106", tmp_path)
    with pytest.raises(BackendUnavailable, match=r"Xavier \(sm_72\) is too old .* sm_75 or newer"):
        ensure_engine(tiny(tmp_path), request, driver=driver_of(sm=(7, 2), name="Xavier"))


def test_int8_without_its_file_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "8.6.1")
    with pytest.raises(ModelError, match=r"no int8-trt file of tiny: .*--calibration DIR"):
        build("8.6.1", tmp_path, precision="int8")
    install(monkeypatch, "11.4.0.106")
    with pytest.raises(ModelError, match="no int8-trt16 file of tiny"):
        build("11.4.0.106", tmp_path, precision="int8")


def test_a_file_of_another_precision_is_not_converted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "11.4.0.106")
    with pytest.raises(ConfigError, match="is an fp16 file: it runs with --precision fp16"):
        build("11.4.0.106", tmp_path, model=tiny(tmp_path, precision="fp16"))
    with pytest.raises(ModelError, match="an INT8 file for CPUs"):
        build("11.4.0.106", tmp_path, model=tiny(tmp_path, precision="int8"), precision="int8")


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "8.6.1")
    model = tiny(tmp_path)
    monkeypatch.delitem(sys.modules, "edgeseg.precision.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendUnavailable, match=r"package onnx: pip install 'edgeseg\[build\]'"):
        build("8.6.1", tmp_path, model=model)


def test_nothing_is_constructed_without_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = make_tensorrt("11.4.0.106", None)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    with pytest.raises(BackendUnavailable, match="NVIDIA"):
        ensure_engine(tiny(tmp_path), request_of("11.4.0.106", tmp_path))


def test_rtx_builds_for_a_gpu_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", make_tensorrt(RTX, None))
    request = request_of(RTX, tmp_path, target=(8, 6))
    made = ensure_engine(tiny(tmp_path), request)
    assert b'"sm": "8.6"' in made.data
    with pytest.raises(BackendUnavailable, match=r"builds for SM75, .* not for sm_87"):
        ensure_engine(tiny(tmp_path), request_of(RTX, tmp_path, target=(8, 7)))
    with pytest.raises(ConfigError, match="only TensorRT-RTX builds for a GPU that is not here"):
        ensure_engine(tiny(tmp_path), request_of("10.3.0", tmp_path, target=(8, 6)))


def test_a_builder_that_does_not_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt("10.3.0", None))
    with pytest.raises(BackendUnavailable, match="does not start on this machine"):
        build("10.3.0", tmp_path)


def test_the_fake_gpu_is_a_jetson_by_default() -> None:
    assert FakeGpu().sm == (8, 7)
