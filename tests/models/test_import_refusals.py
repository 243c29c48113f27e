"""What cannot be imported is refused in one line that names the file and the expectation."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import torch
from golden_import import golden
from torch import Tensor, nn

from edgeseg.errors import ConfigError, EdgesegError, ModelError
from edgeseg.models.importing import Wishes, import_checkpoint
from edgeseg.models.importing.checkpoint import read_state
from edgeseg.models.importing.class_names import asked_classes, label_set_for
from edgeseg.types import Size

SMALL = Wishes(size=Size(64, 64))


def refused(
    tmp_path: Path, state: object, arch: str = "sinet", wishes: Wishes = SMALL
) -> EdgesegError:
    """The error of importing what `torch.save` makes of `state`; nothing may be left behind."""
    checkpoint, folder = tmp_path / "net.pth", tmp_path / "models"
    torch.save(state, checkpoint)
    with pytest.raises(EdgesegError) as raised:
        import_checkpoint(checkpoint, arch, folder, wishes)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2
    assert not folder.exists() or list(folder.iterdir()) == []
    return raised.value


@pytest.fixture(scope="module")
def sinet() -> dict[str, Tensor]:
    return golden("sinet").state()


def test_missing_and_foreign_tensors_are_counted_and_named(
    tmp_path: Path, sinet: dict[str, Tensor]
) -> None:
    state = {key: value for key, value in sinet.items() if "level1" not in key}
    state["extra.weight"] = torch.zeros(2)
    said = str(refused(tmp_path, state))
    assert said.startswith(f"{tmp_path / 'net.pth'}: not a state of sinet (clovaai/ext_portrait_")
    missing = (
        "encoder.level1.bn.weight, encoder.level1.bn.bias, encoder.level1.bn.running_mean, ..."
    )
    needed = sum(not key.endswith("num_batches_tracked") for key in sinet)
    assert f" 6 of {needed} tensors are missing ({missing})" in said
    assert said.endswith(f", 1 of {needed - 5} are foreign (extra.weight)")


@pytest.mark.parametrize("name", ["sinet-cityscapes", "deeplabv3plus-mobilenetv2"])
def test_another_architecture_that_fits_is_named(tmp_path: Path, name: str) -> None:
    said = str(refused(tmp_path, golden(name).state(), "icnet-resnet50"))
    assert said.endswith(f"; it is a checkpoint for --arch {name}")


def test_the_successor_of_yolact_is_called_by_its_name(tmp_path: Path) -> None:
    state = {"backbone.layers.1.0.conv2.conv_offset_mask.weight": torch.zeros(27, 128, 3, 3)}
    said = str(refused(tmp_path, state, "yolact-resnet50"))
    assert said.endswith(
        "; it is a YOLACT++ checkpoint: deformable convolutions cannot be imported"
    )


def test_tensors_of_another_shape_are_shown(tmp_path: Path, sinet: dict[str, Tensor]) -> None:
    state = sinet | {"level2_C.conv.weight": torch.zeros(3, 48, 1, 1)}
    said = str(refused(tmp_path, state))
    assert said.endswith("level2_C.conv.weight is 3x48x1x1, expected 2x48x1x1")


def test_a_portrait_network_of_three_classes_is_refused(
    tmp_path: Path, sinet: dict[str, Tensor]
) -> None:
    state = sinet | {"classifier.1.weight": torch.zeros(3, 3, 3, 3)}
    assert "classifier.1.weight is 3x3x3x3, expected 2x2x3x3" in str(refused(tmp_path, state))


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, sinet: dict[str, Tensor]) -> None:
    state = sinet | {"bn_2.weight": torch.tensor([1.0, float("nan")])}
    assert str(refused(tmp_path, state)).endswith(
        "bn_2.weight hold values that are not finite numbers"
    )


def test_wrappers_prefixes_and_halves_are_undone(tmp_path: Path, sinet: dict[str, Tensor]) -> None:
    path = tmp_path / "net.pth"
    halves = OrderedDict((f"module.{key}", value.half()) for key, value in sinet.items())
    for wrapped in (
        {"model_state": halves, "best_score": np.float64(0.7), "epoch": 3},
        {"state_dict": halves, "optimizer": {"state": {}}},
        {"model": {"state_dict": halves}},
    ):
        torch.save(wrapped, path)
        state = read_state(path)
        assert set(state) == set(sinet)
        assert all(v.dtype != torch.float16 for v in state.values())


def test_a_score_saved_by_an_older_numpy_is_let_through(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    state = {"model_state": {"a": torch.ones(1)}, "best_score": np.float64(0.7)}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    content = path.read_bytes()
    path.write_bytes(content.replace(new, old) if new in content else content.replace(old, new))
    assert read_state(path)["a"].item() == 1.0


class Grim:
    """Runs a command when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, sinet: dict[str, Tensor]) -> None:
    proof = tmp_path / "ran"
    said = str(refused(tmp_path, {"state_dict": sinet, "grim": Grim(proof)}))
    assert "holds objects as well as tensors (posix.system)" in said
    assert "save the weights alone: torch.save(model.state_dict(), path)" in said
    assert not proof.exists()


def test_a_whole_network_is_refused_with_advice(tmp_path: Path) -> None:
    said = str(refused(tmp_path, nn.Conv2d(1, 1, 1)))
    assert "holds objects as well as tensors (torch.nn.modules.conv.Conv2d)" in said


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def _script(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(nn.Conv2d(1, 1, 1)).save(str(path))


def _cut(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, r"cannot read the checkpoint: No such file"),
    "folder": (lambda path: path.mkdir(), r"cannot read the checkpoint: Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), r"is not a PyTorch checkpoint, or damaged"),
    "text": (lambda path: path.write_text("hello"), r"is not a PyTorch checkpoint, or damaged"),
    "pickle": (
        lambda path: path.write_bytes(pickle.dumps({"a": 1})),
        r"is not a PyTorch checkpoint, or damaged",
    ),
    "cut": (_cut, r"is not a PyTorch checkpoint, or damaged; fetch it again$"),
    "zip": (_zip, r"is a zip archive, but not a PyTorch checkpoint$"),
    "script": (_script, r"is a TorchScript program, expected a state dict; save the weights"),
    "list": (lambda path: torch.save([1], path), r"holds a list, expected a mapping of names to"),
    "numbers": (lambda path: torch.save({"a": 1}, path), r"holds no tensors; expected the state"),
    "unnamed": (lambda path: torch.save({1: 2}, path), r"holds a dict, expected a mapping of name"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_checkpoint_is_said(tmp_path: Path, kind: str) -> None:
    make, message = FILES[kind]
    path = tmp_path / "net.pth"
    make(path)
    with pytest.raises(ModelError, match=rf"net\.pth: {message}"):
        read_state(path)


@pytest.mark.parametrize(
    ("arch", "wishes", "message"),
    [
        ("sinnet", SMALL, r"unknown --arch 'sinnet'; did you mean 'sinet'\? \(known: sinet, "),
        ("sinet", Wishes(size=Size(100, 96)), r"--size 100x96: sinet takes multiples of 32$"),
        ("sinet", Wishes(size=Size(16, 32)), r"--size 16x32: sinet takes at least 32x32$"),
        ("yolact-resnet50", Wishes(size=Size(550, 320)), r"takes a square, as its anchors are$"),
        ("sinet", Wishes(output_stride=4), r"--output-stride is 4, expected 8 or 16$"),
        ("sinet", Wishes(name="a/b"), r"--name 'a/b': expected a file name without folders"),
        ("sinet", Wishes(name=".b"), r"--name '\.b': expected a file name without folders"),
        ("sinet", Wishes(classes="nope.txt"), r"--classes nope\.txt: expected a number, or a tex"),
        ("sinet", Wishes(classes="5"), r"--classes says 5 classes, the checkpoint has 2 \(net\.p"),
    ],
)
def test_wishes_that_cannot_be_met(
    tmp_path: Path, sinet: dict[str, Tensor], arch: str, wishes: Wishes, message: str
) -> None:
    error = refused(tmp_path, sinet, arch, wishes)
    with pytest.raises(type(error), match=message):
        raise error


def test_existing_files_are_kept_unless_told(tmp_path: Path, sinet: dict[str, Tensor]) -> None:
    checkpoint = tmp_path / "net.pth"
    torch.save(sinet, checkpoint)
    for name in ("sinet.onnx", "sinet.yaml"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ConfigError, match=rf"{name}: exists already; give --overwrite or an"):
            import_checkpoint(checkpoint, "sinet", tmp_path, SMALL)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "sinet.yaml").write_text("mine")
    import_checkpoint(checkpoint, "sinet", tmp_path, Wishes(size=Size(64, 64), overwrite=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.pth", "sinet.onnx", "sinet.yaml"]
    assert "mine" not in (tmp_path / "sinet.yaml").read_text()


def test_a_folder_that_cannot_be_made_or_written_is_named(
    tmp_path: Path, sinet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "net.pth"
    torch.save(sinet, checkpoint)
    with pytest.raises(ConfigError, match=r"net\.pth/out: cannot make this folder: "):
        import_checkpoint(checkpoint, "sinet", checkpoint / "out", SMALL)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    with pytest.raises(ConfigError, match=r"out: this folder cannot be written to; choose anoth"):
        import_checkpoint(checkpoint, "sinet", tmp_path / "out", SMALL)


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, sinet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeseg.models.importing import run

    monkeypatch.setattr(run, "TOLERANCE", -1.0)
    monkeypatch.setattr(run, "deployed", _deployed_without_check)
    said = str(refused(tmp_path, sinet))
    assert "ONNX Runtime differs from PyTorch" in said


def _deployed_without_check(known: object, network: nn.Module) -> nn.Module:
    from edgeseg.models.export import Deployed

    return Deployed(network)


def test_class_files_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("road\n\n  car \n")
    assert asked_classes(str(path)) == ("road", "car")
    assert asked_classes("12") == 12
    path.write_text("road\ncar\nroad\n")
    with pytest.raises(ConfigError, match=r"names\.txt: names the class 'road' twice$"):
        asked_classes(str(path))
    path.write_text("\n")
    with pytest.raises(ConfigError, match=r"names\.txt: is empty, expected one class name a line"):
        asked_classes(str(path))
    with pytest.raises(ModelError, match=r"names 2 classes, the checkpoint has 19 \(head\)$"):
        label_set_for("semantic", 19, ("a", "b"), where="head")
