"""From a configuration to running parts: the only package that names concrete classes."""

from edgeseg.assemble.ends import make_sink, open_source, sink_uris
from edgeseg.assemble.model import Loaded, cautious, open_model
from edgeseg.assemble.run import (
    Assembly,
    assembled,
    effect_choices,
    flow_for,
    make_smoother,
    model_choices,
)

__all__ = [
    "Assembly",
    "Loaded",
    "assembled",
    "cautious",
    "effect_choices",
    "flow_for",
    "make_sink",
    "make_smoother",
    "model_choices",
    "open_model",
    "open_source",
    "sink_uris",
]
