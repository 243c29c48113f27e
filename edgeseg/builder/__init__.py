"""From an FP32 model to the file or engine for a device, with proof of what it costs."""

from edgeseg.builder.options import BuildOptions
from edgeseg.builder.run import Outcome, build_model

__all__ = ["BuildOptions", "Outcome", "build_model"]
