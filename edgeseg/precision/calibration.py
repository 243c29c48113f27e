"""What a network's tensors are like on pictures, as a value that travels inside INT8 files."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile

RANGES_KEY = "edgeseg.ranges"
"""Where an INT8 file keeps them in its ONNX metadata."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """ranges: least and greatest value by tensor name. means: of each channel a layer reads.

    data: what ``Build.calibration`` says: the pictures, method, count and seed.
    source_sha256: of the FP32 file they were measured on. notes: lines worth telling the user,
    such as fewer pictures than asked for.
    """

    ranges: Mapping[str, tuple[float, float]]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    means: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    source_sha256: str = ""

    @staticmethod
    def from_file(model: ModelFile) -> Calibration:
        """Reads back what an INT8 file was made with. Raises ModelError where it says nothing."""
        text = model.graph.metadata.get(RANGES_KEY)
        build = model.spec.build
        if text is None or build is None:
            raise ModelError(
                f"{model.path}: carries no calibration ranges; expected an INT8 file made by "
                "edgeseg build. Make it again: edgeseg build --precision int8 --calibration DIR"
            )
        try:
            found = json.loads(zlib.decompress(base64.b64decode(text)))
            return _parsed(found, data=build.calibration, sha256=build.source_sha256)
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
            raise ModelError(
                f"{model.path}: its calibration ranges are damaged ({error}); build it again"
            ) from error

    def to_metadata(self) -> str:
        """Returns ranges and means as an INT8 file carries them: JSON, zlib, base64.

        As plain JSON they would be 6 % of the file.
        """
        found = {"ranges": self.ranges, "means": self.means}
        text = json.dumps(found, separators=(",", ":"), allow_nan=False)
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    def to_cache(self) -> str:
        """Returns all of it as JSON."""
        whole = {"data": dict(self.data), "notes": self.notes, "source_sha256": self.source_sha256}
        return json.dumps({**whole, "ranges": self.ranges, "means": self.means}, allow_nan=False)

    @staticmethod
    def from_cache(text: str) -> Calibration:
        """Reads ``to_cache``. Raises ValueError, TypeError, KeyError or AttributeError else."""
        whole = json.loads(text)
        return _parsed(whole, whole["data"], whole["source_sha256"], tuple(whole["notes"]))

    def check(self, model: ModelFile) -> None:
        """Raises ModelError unless these are of this very model."""
        if self.source_sha256 and self.source_sha256 != model.sha256:
            raise ModelError(
                f"{model.path}: the calibration is of another file (sha256 "
                f"{self.source_sha256[:12]}..., this is {model.sha256[:12]}...); calibrate again"
            )

    def range_of(self, tensor: str) -> tuple[float, float]:
        """Returns a tensor's range. Raises ModelError for one that was not measured."""
        if tensor not in self.ranges:
            raise ModelError(
                f"the calibration has no range of tensor {tensor!r}: it is of another model or "
                "was made by another version of onnxruntime; calibrate again"
            )
        return self.ranges[tensor]


def _parsed(
    found: Mapping[str, Any], data: Mapping[str, Any], sha256: str, notes: tuple[str, ...] = ()
) -> Calibration:
    ranges = {name: (float(low), float(high)) for name, (low, high) in found["ranges"].items()}
    means = {name: tuple(map(float, values)) for name, values in found["means"].items()}
    return Calibration(ranges, dict(data), notes, means, str(sha256))
