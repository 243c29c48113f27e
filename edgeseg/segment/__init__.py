"""Frame to result: preprocessing, network, decoding, gating."""

from edgeseg.segment.presence import PresenceGate
from edgeseg.segment.segmenter import NetworkSegmenter

__all__ = ["NetworkSegmenter", "PresenceGate"]
