"""Our SINet against the official code, without its weights.

`golden/sinet_official.json` was written by running the official code
(clovaai/ext_portrait_segmentation, `models/SINet.py`) on the weights of `made_up_state` and the
picture of `made_up_picture`: the names and shapes of its state, and samples of its output.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch

from edgeseg.errors import ModelError
from edgeseg.models.import_ import import_sinet, load_sinet, sinet_spec
from edgeseg.models.sinet import SINet, channel_shuffle
from edgeseg.types import Size

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sinet_official.json").read_text())


def made_up_state(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Weights that depend on their name alone, tame enough for a deep network."""
    state = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        values = rng.standard_normal(shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
            continue
        if name.endswith("running_var"):
            values = 1.0 + 0.5 * np.abs(values)
        elif len(shape) == 1:
            values = 0.7 + 0.1 * values if name.endswith("weight") else 0.1 * values
        else:
            values = values / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy(np.asarray(values)).double()
    return state


def made_up_picture() -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.standard_normal((1, 3, 64, 96)))


def test_names_and_shapes_are_the_official_ones() -> None:
    ours = {name: list(value.shape) for name, value in SINet().state_dict().items()}
    assert ours == GOLDEN["shapes"]


def test_outputs_equal_the_official_code() -> None:
    network = SINet().double().eval()
    network.load_state_dict(made_up_state(GOLDEN["shapes"]))
    with torch.inference_mode():
        scores = network(made_up_picture())
    assert list(scores.shape) == [1, 2, 64, 96]
    assert scores[0, :, ::16, ::24].flatten().tolist() == pytest.approx(
        GOLDEN["scores"], rel=1e-6, abs=1e-8
    )


def test_importing_a_checkpoint_gives_its_probability_from_rgb_pixels(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")
    from edgeseg.models.export import onnx_predictor

    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in made_up_state(GOLDEN["shapes"]).items()
    }
    checkpoint, path = tmp_path / "SINet.pth", tmp_path / "sinet.onnx"
    torch.save(state, checkpoint)
    spec = import_sinet(checkpoint, path, size=Size(96, 64))
    assert spec.source_sha256 == sinet_spec(checkpoint, Size(96, 64)).source_sha256

    rgb = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    mean, deviation = np.array([102.89, 111.25, 126.91]), np.array([62.93, 62.82, 66.36])
    normal = (rgb[..., ::-1] - mean) / deviation / 255.0
    picture = torch.from_numpy(normal.transpose(2, 0, 1)[None]).float()
    with torch.inference_mode():
        expected = load_sinet(checkpoint)(picture).softmax(dim=1)[0, 1].numpy()
    assert np.abs(onnx_predictor(str(path))(rgb) - expected).max() < 1e-4


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "SINet.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"SINet\.pth: expected the state of the official"):
        load_sinet(path)


def test_a_state_of_another_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"other\.pth: expected the state of the official"):
        load_sinet(path)


def test_shuffling_interleaves_the_groups() -> None:
    x = torch.arange(6.0)[None, :, None, None]
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
