"""Accuracy of a model on a folder of pictures with masks."""

from edgeseg.evaluate.labelled_folder import LabelledFolder, Sample, open_folder
from edgeseg.evaluate.run import Evaluation, evaluate

__all__ = ["Evaluation", "LabelledFolder", "Sample", "evaluate", "open_folder"]
