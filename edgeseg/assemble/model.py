"""A model made ready to run: its file, its backend, its segmenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.backends import Tuning, open_network
from edgeseg.config import ModelConfig
from edgeseg.effects import hidden_by
from edgeseg.model_file import ModelFile, load_model
from edgeseg.protocols import BackendInfo, Effect, Segmenter
from edgeseg.segment import NetworkSegmenter


@dataclass(slots=True)
class Loaded:
    """A model ready to run: the segmenter, and what was chosen for it.

    file: the one that runs, with the recipe of ``source``, which is the model as it was named.
    remarks: backends and precisions that were not taken, and why.
    """

    source: ModelFile
    file: ModelFile
    segmenter: Segmenter
    tuning: Tuning
    info: BackendInfo
    remarks: tuple[str, ...] = ()

    @property
    def backend(self) -> str:
        """Name of what runs the network."""
        return self.info.name

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.info.device

    @property
    def precision(self) -> str:
        """Precision of what runs."""
        return self.info.precision

    @property
    def runs_on(self) -> str:
        """What runs the network, in a few words."""
        where = "" if self.device == "cpu" else f" {self.device}"
        return f"{self.backend}{where} {self.precision}"

    def describe(self) -> dict[str, Any]:
        """Returns what every report says of a model and what runs it.

        sha256: of the file or engine that runs. source_sha256: of the model as it was named.
        """
        path = self.info.file or str(self.file.path)
        return {
            "model": {
                "name": self.file.name,
                "file": Path(path).name,
                "precision": self.precision,  # as below, where figures of classes may take it
                "sha256": self.info.sha256 or self.file.sha256,
                "source_sha256": self.source.sha256,
            },
            "backend": self.backend,
            "backend_device": self.device,
            "precision": self.precision,
            "not_taken": list(self.remarks),
        }


def open_model(config: ModelConfig, *, live: bool, file: ModelFile | None = None) -> Loaded:
    """Loads, measures and opens a model; ``file`` where it is loaded already.

    Raises ConfigError, ModelError, BackendUnavailable.
    """
    source = file or load_model(config.name)
    opened = open_network(source, config, live=live)
    spec = opened.file.spec.with_thresholds(decision=config.threshold, score=config.score)
    segmenter = NetworkSegmenter(spec, opened.backend)
    return Loaded(
        source, opened.file, segmenter, opened.tuning, opened.backend.info, opened.remarks
    )


def cautious(config: ModelConfig, effect: Effect, file: ModelFile) -> ModelConfig:
    """Returns a model's settings; half the least score, if not the user's own, to hide objects."""
    if hidden_by(effect) != "objects" or config.score is not None:
        return config
    return config.model_copy(update={"score": file.spec.thresholds.score / 2})
