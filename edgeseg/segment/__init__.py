"""Frame to result: preprocessing, network, decoding, gating."""

from edgeseg.segment.presence import PresenceGate
from edgeseg.segment.segmenter import NetworkSegmenter
from edgeseg.segment.smoothing import KeepResult
from edgeseg.segment.thresholds import check_thresholds

__all__ = ["KeepResult", "NetworkSegmenter", "PresenceGate", "check_thresholds"]
