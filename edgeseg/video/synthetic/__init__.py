"""Drawn sources with exact ground truth: ``synthetic://SCENE?option=value&option=value``.

Scenes, and the labels in ``Frame.truth`` (uint8 [H, W]):

- ``portrait``: a person in a room who sways, blinks and now and then waves. 0 background, 1 person.
- ``road``: a drive down a street, the 11 CamVid classes: 0 Sky, 1 Building, 2 Pole, 3 Road,
  4 Pavement, 5 Tree, 6 SignSymbol, 7 Fence, 8 Car, 9 Pedestrian, 10 Bicyclist.
- ``shapes``: discs, boxes and triangles that bounce, turn and hide one another. 0 background,
  1..9 instances, a higher number is nearer.

Options (default in brackets):

- ``size=WxH`` [1280x720]: any size from 1x1 to 8192x8192, odd ones too.
- ``fps=F`` [30]: 25, 29.97 or 30000/1001; frame k has ``pts`` exactly k/F.
- ``frames=N`` [0]: how many; 0 never ends.
- ``seed=N`` [1]: who and what is seen. The same seed and frame number give the same bytes on
  one machine; how OpenCV rounds may differ between versions.
- ``speed=F`` [1]: how fast things move; 0 stands still.
- ``paced=1`` [0]: frames come in real time and the source is live. Late frames are all still
  given, in order and at once: dropping is the pipeline's business.
- ``stall=K:SECONDS``: delivery pauses before frame K. When paced, the frames held up follow in
  a burst.
- ``cut=K``: from frame K on another place and person (seeded too); that frame has ``cut`` set.
- ``repeat=K``: the camera gives the picture of frame K-1 again as frame K, counted in
  ``counters.duplicated``.
- ``fail=K``: reading frame K raises SourceError.
- ``noise=S`` [0]: sensor noise on luma, standard deviation S in grey levels (at most 64).
- ``light=A`` [0]: brightness swings by the share A (at most 0.9) within four seconds.

``stall``, ``cut`` and ``repeat`` take several values with commas, or may be given again.

The truth is exact: picture and truth are drawn with hard edges by the same operations, and then
luma is softened by one 3x3 [1 2 1] lens. Hence only pixels that touch an edge of the truth are
mixed, by a quarter where the edge is straight. Noise and light change no truth. Chroma is drawn
at half size and rounds edges to its own pixels.

On one core, 720p costs about 0.6 ms a frame for shapes, 1.8 ms for portrait and 4.8 ms for road
(least of 120 frames on a busy x86; a person or a car fills more than a shape).
"""

from edgeseg.video.synthetic.options import SCENES, SCHEME, SyntheticOptions, parse_uri
from edgeseg.video.synthetic.source import SyntheticSource

__all__ = ["SCENES", "SCHEME", "SyntheticOptions", "SyntheticSource", "parse_uri"]
