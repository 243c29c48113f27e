"""The real TensorRT-RTX: it parses and builds without a GPU, so what we emit is checked by it.

Running an engine needs a GPU and is not tested here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.engine.build import ensure_engine
from edgeseg.engine.library import Library, load_library
from edgeseg.engine.log import logger_for
from edgeseg.engine.request import EngineRequest
from edgeseg.engine.runtime import open_engine
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.model_file import load_model, shipped_models

pytestmark = pytest.mark.trt_rtx


@pytest.fixture(scope="module")
def rtx() -> Library:
    try:
        return load_library("tensorrt-rtx")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def request_for(folder: Path, precision: str, sm: tuple[int, int] = (8, 6)) -> EngineRequest:
    return EngineRequest(precision, rtx=True, target=sm, folder=folder)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_every_shipped_model_builds(
    rtx: Library, tmp_path: Path, name: str, precision: str
) -> None:
    phases: set[str] = set()
    made = ensure_engine(
        load_model(name),
        request_for(tmp_path, precision),
        progress=lambda phase, share: phases.add(phase) if 0 <= share <= 1 else None,
    )
    assert made.built
    assert made.manifest.wanted.version == rtx.version
    assert (made.manifest.wanted.sm, made.manifest.wanted.variant) == ("sm_86", precision)
    assert len(made.data) > 100_000
    assert phases


def test_an_int8_file_builds(rtx: Library, tmp_path: Path) -> None:
    from engine_kit import tiny
    from test_engine_int8 import write_variant

    model = tiny(tmp_path)
    write_variant(model, "int8-trt16")
    made = ensure_engine(model, request_for(tmp_path, "int8"))
    assert made.manifest.wanted.variant == "int8-trt16"
    write_variant(model, "int8-trt16", zero=3)
    with pytest.raises(ModelError, match=r"node 'QuantizeLinear' .*Non-zero zero point is not"):
        ensure_engine(model, request_for(tmp_path, "int8"))


def test_a_capability_it_does_not_know_is_refused(rtx: Library, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"builds for SM75, .* not for sm_87"):
        ensure_engine(load_model("portrait"), request_for(tmp_path, "fp32", (8, 7)))


def test_an_operator_it_lacks_is_named(rtx: Library, tmp_path: Path) -> None:
    from test_engine_build import with_operator

    with pytest.raises(ModelError, match=r"TensorRT-RTX .* has no operator Unique \(node 'odd'\)"):
        ensure_engine(with_operator(tmp_path, "Unique"), request_for(tmp_path, "fp32"))


def test_bytes_after_a_transpose_are_what_it_refuses(rtx: Library) -> None:
    """Why ``cast_first`` exists; once this passes, it may go."""
    logger = logger_for(rtx.trt)
    builder = rtx.trt.Builder(logger)
    network = builder.create_network(0)
    parser = rtx.trt.OnnxParser(network, logger)
    assert not parser.parse(load_model("portrait").data)
    assert "has type UInt8" in parser.get_error(0).desc()


def test_bytes_that_are_no_engine_are_refused_with_a_reason(rtx: Library) -> None:
    reasons: list[str] = []
    assert open_engine(rtx, b"not an engine", refused=reasons.append) is None
    assert reasons
    assert "\n" not in reasons[0]


def test_the_fake_has_the_names_of_the_real_one(rtx: Library) -> None:
    """The table the fake is made of, against the module itself."""
    from fake_tensorrt import RTX, read_table

    table, _ = read_table(RTX)
    if rtx.version != table["version"]:
        pytest.skip(f"the table is of {table['version']}, installed is {rtx.version}")
    for name, listed in table["classes"].items():
        real = getattr(rtx.trt, name)
        for member, value in listed.get("e", {}).items():
            assert int(getattr(real, member)) == value
        for member in (*listed.get("m", {}), *listed.get("p", {})):
            assert hasattr(real, member), f"{name}.{member}"
