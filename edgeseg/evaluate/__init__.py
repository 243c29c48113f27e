"""Accuracy of a model on labelled pictures: person masks, class ids, or COCO objects."""

from edgeseg.evaluate.open_data import DataChoice, open_scoring
from edgeseg.evaluate.run import Evaluation, evaluate
from edgeseg.evaluate.scoring import Confusion, Scoring

__all__ = ["Confusion", "DataChoice", "Evaluation", "Scoring", "evaluate", "open_scoring"]
