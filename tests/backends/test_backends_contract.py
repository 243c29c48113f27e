"""The rules every backend keeps, and opening one by name."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import numpy as np
import pytest
from backend_kit import expected, person, picture
from tiny_onnx import SIZE, tiny_model

from edgeseg.backends import BACKENDS, BackendOptions, open_backend
from edgeseg.config import BackendName
from edgeseg.device import package_version
from edgeseg.errors import ConfigError, ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.protocols import Backend, Tensor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return load_model(tiny_model(tmp_path_factory.mktemp("net") / "tiny.onnx"))


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request: pytest.FixtureRequest, model: ModelFile) -> Backend:
    if package_version(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return open_backend(model, kind=request.param, options=BackendOptions(workers=2))


class TestContract:
    """What every backend must do."""

    def test_outputs_are_bound_by_name_and_right(self, backend: Backend) -> None:
        for level in (0, 120, 140, 255):
            outputs = backend.infer(picture(level))
            assert list(outputs) == ["person"]
            assert outputs["person"].shape == (1, 1, SIZE.height, SIZE.width)
            np.testing.assert_allclose(person(backend, level), expected(level), atol=1e-5)

    def test_outputs_belong_to_the_caller(self, backend: Backend) -> None:
        first = backend.infer(picture(140))["person"]
        kept = first.copy()
        backend.infer(picture(20))
        np.testing.assert_array_equal(first, kept)
        first[:] = 0

    def test_several_threads_share_it(self, backend: Backend) -> None:
        levels = [int(level) for level in np.random.default_rng(0).integers(100, 156, 200)]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda v: person(backend, v), levels))
        for level, result in zip(levels, results, strict=True):
            np.testing.assert_allclose(result, expected(level), atol=1e-5)

    def test_info_describes_it(self, backend: Backend) -> None:
        info = backend.info
        assert (info.device, info.precision, info.threads) == ("cpu", "fp32", 1)
        assert [(i.name, i.shape, i.dtype) for i in info.inputs] == [
            ("image", (1, 24, 32, 3), "uint8")
        ]
        assert [(o.name, o.shape, o.dtype) for o in info.outputs] == [
            ("person", (1, 1, 24, 32), "float32")
        ]

    @pytest.mark.parametrize(
        ("inputs", "named"),
        [
            ({"picture": picture(1)["image"]}, "picture|image"),
            ({"image": np.zeros((1, 3, 24, 32), np.uint8)}, "image"),
            ({"image": np.zeros((1, 24, 32, 3), np.float32)}, "float|uint8"),
        ],
        ids=["name", "shape", "dtype"],
    )
    def test_wrong_inputs_are_named(
        self, backend: Backend, inputs: dict[str, Tensor], named: str
    ) -> None:
        with pytest.raises(ModelError, match=rf"tiny\.onnx: the network failed: .*({named})"):
            backend.infer(inputs)

    def test_it_warms_up_and_closes(self, backend: Backend) -> None:
        backend.warm_up()
        backend.close()


def test_open_backend_names_what_it_knows(model: ModelFile) -> None:
    with pytest.raises(ConfigError, match=r"unknown backend 'onnxrt'; did you mean 'onnxruntime'"):
        open_backend(model, kind="onnxrt")
    assert open_backend(model).info.name == "onnxruntime"


def test_the_configuration_knows_every_backend() -> None:
    assert ("auto", *BACKENDS) == get_args(BackendName)


def test_runtimes_are_loaded_when_a_model_is_opened() -> None:
    code = (
        "import sys, edgeseg.backends, edgeseg.assemble, edgeseg.backends.openvino_trial;"
        "heavy = {'onnxruntime', 'openvino', 'tensorrt', 'onnx', 'pycuda'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
