"""``edgeseg models check``: does a model file do what its card says, and if it has none, what fits?

The network is run on drawn pictures, one with a person-like figure, one empty, one of noise. That
cannot tell whether it segments well (``edgeseg eval`` does), but it finds what goes wrong most:
probabilities that are not, an activation applied twice or not at all, a dead output, classes that
the card does not name.
"""

from edgeseg.model_check.check import ModelCheck, check_model
from edgeseg.model_check.drawn import drawn_frames
from edgeseg.model_check.judge import judge_outputs, judge_scores

__all__ = ["ModelCheck", "check_model", "drawn_frames", "judge_outputs", "judge_scores"]
