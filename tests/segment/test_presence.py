"""The presence gate on drawn mattes: arriving, leaving, blinking, stray blobs."""

from __future__ import annotations

import time
from fractions import Fraction

import cv2
import numpy as np
import pytest
from fakes import grey

from edgeseg.labels import CAMVID
from edgeseg.protocols import Smoother
from edgeseg.segment import PresenceGate
from edgeseg.segment.presence import ARRIVE_S, LEAVE_S
from edgeseg.segment.smoothing import KeepResult
from edgeseg.spec import Thresholds
from edgeseg.types import F32, Frame, Geometry, Matte, Rect, SemanticMap, Size

SIDE = Size(128, 96)
GEOMETRY = Geometry(Size(640, 480), SIDE, Rect(0, 0, *SIDE))
PLANES = grey(0).freeze()
FPS = 25

Disc = tuple[int, int, int]
PERSON: Disc = (50, 60, 28)


def matte(*discs: Disc, level: float = 0.95) -> Matte:
    person = np.zeros((SIDE.height, SIDE.width), np.float32)
    for x, y, radius in discs:
        cv2.circle(
            img=person, center=(x, y), radius=radius, color=level, thickness=-1, lineType=cv2.LINE_8
        )
    return Matte(cv2.GaussianBlur(src=person, ksize=(5, 5), sigmaX=0), GEOMETRY)


def frame(index: int, *, fps: float = FPS, cut: bool = False, stamped: bool = True) -> Frame:
    pts = Fraction(index) / Fraction(fps) if stamped else None
    return Frame(PLANES, index, captured_at=100 + index / fps, pts=pts, cut=cut)


def smooth(gate: PresenceGate, at: Frame, result: Matte) -> Matte:
    out = gate.smooth(at, result)
    assert isinstance(out, Matte)
    return out


def run(
    gate: PresenceGate, results: list[Matte], *, start: int = 0, fps: float = FPS
) -> list[bool]:
    present = []
    for index, result in enumerate(results, start):
        out = smooth(gate, frame(index, fps=fps), result)
        assert out.present or not out.person.any()
        present.append(out.present)
    return present


@pytest.fixture
def gate() -> PresenceGate:
    return PresenceGate(Thresholds())


def test_keeping_the_result_is_a_smoother_too(gate: PresenceGate) -> None:
    smoothers: list[Smoother] = [gate, KeepResult()]
    result = matte(PERSON)
    for smoother in smoothers:
        assert smoother.smooth(frame(0), result) is result
        smoother.reset()


def test_a_person_passes_untouched_from_the_first_frame(gate: PresenceGate) -> None:
    result = matte(PERSON)
    for index in range(5):
        assert smooth(gate, frame(index), result) is result


def test_an_empty_room_is_empty_from_the_first_frame(gate: PresenceGate) -> None:
    out = smooth(gate, frame(0), matte())
    assert not out.present
    assert out.person.shape == (SIDE.height, SIDE.width)
    assert not out.person.any()


@pytest.mark.parametrize(
    "hallucination",
    [matte((20, 20, 3)), matte((60, 50, 30), level=0.6), matte((60, 50, 30), level=0.45)],
    ids=["tiny", "unsure", "below-threshold"],
)
def test_hallucinations_in_an_empty_room_never_show(
    gate: PresenceGate, hallucination: Matte
) -> None:
    assert not any(run(gate, [matte(), *[hallucination] * 60]))


def test_leaving_and_coming_back(gate: PresenceGate) -> None:
    there, gone = [matte(PERSON)] * FPS, [matte((110, 80, 2))] * FPS
    present = run(gate, [*there, *gone, *there])
    assert present[:FPS] == [True] * FPS
    left = present.index(False)
    assert left == pytest.approx(FPS + LEAVE_S * FPS, abs=1)
    back = present.index(True, left)
    assert back == pytest.approx(2 * FPS + ARRIVE_S * FPS, abs=1)
    assert all(present[back:])


def test_one_bad_frame_does_not_blink(gate: PresenceGate) -> None:
    weak = matte((50, 60, 5), level=0.7)
    assert all(run(gate, [weak if i % 3 == 2 else matte(PERSON) for i in range(60)]))


def test_a_person_seen_most_of_the_time_arrives(gate: PresenceGate) -> None:
    present = run(gate, [matte(), *[matte() if i % 3 == 2 else matte(PERSON) for i in range(60)]])
    assert present.index(True) / FPS < 4 * ARRIVE_S
    assert all(present[present.index(True) :])


def test_one_ghost_frame_does_not_flash(gate: PresenceGate) -> None:
    assert not any(run(gate, [matte() if i % 3 else matte(PERSON) for i in range(1, 60)]))


def test_between_the_thresholds_it_stays_as_it_was() -> None:
    limits = Thresholds(presence_area=0.02, presence_score=0.8)
    between = matte((50, 60, 8))  # 1.6 % of the picture: too little to arrive, enough to stay
    assert not any(run(PresenceGate(limits), [between] * 50))
    assert all(run(PresenceGate(limits), [matte(PERSON), *[between] * 50]))


@pytest.mark.parametrize("fps", [5, 15, 60])
def test_the_times_are_seconds_not_frames(fps: int) -> None:
    gate = PresenceGate(Thresholds())
    present = run(gate, [*[matte(PERSON)] * fps, *[matte()] * 2 * fps], fps=fps)
    assert present.index(False) / fps == pytest.approx(1 + LEAVE_S, abs=1.5 / fps)


def test_without_stream_time_the_clock_counts(gate: PresenceGate) -> None:
    results = [*[matte(PERSON)] * FPS, *[matte((3, 3, 2))] * FPS]
    present = [
        smooth(gate, frame(i, stamped=False), result).present for i, result in enumerate(results)
    ]
    assert present.index(False) == pytest.approx(FPS + LEAVE_S * FPS, abs=1)


def test_cuts_pauses_and_jumps_are_decided_at_once(gate: PresenceGate) -> None:
    run(gate, [matte()] * 10)
    assert smooth(gate, frame(10, cut=True), matte(PERSON)).present
    assert not smooth(gate, frame(11, cut=True), matte()).present
    assert smooth(gate, frame(11 + 2 * FPS), matte(PERSON)).present  # two seconds later
    assert not smooth(gate, frame(3), matte()).present  # back in time
    gate.reset()
    assert smooth(gate, frame(4), matte(PERSON)).present


def test_a_stray_blob_goes_and_its_halo_too(gate: PresenceGate) -> None:
    clean = matte(PERSON)
    out = smooth(gate, frame(0), matte(PERSON, (120, 8, 4)))
    np.testing.assert_array_equal(out.person, clean.person)
    assert out.present


@pytest.mark.parametrize(
    ("blob", "kept"),
    [
        ((50, 25, 4), True),
        ((22, 32, 2), False),
        ((112, 50, 14), True),
        ((112, 50, 9), True),
        ((112, 50, 8), False),
    ],
    ids=["near", "in-the-corner-of-its-box", "large", "considerable", "small-and-far"],
)
def test_what_counts_as_stray(gate: PresenceGate, blob: Disc, kept: bool) -> None:
    out = smooth(gate, frame(0), matte(PERSON, blob))
    assert (out.person[blob[1], blob[0]] > 0.5) == kept
    assert out.person[PERSON[1], PERSON[0]] > 0.9


def test_two_people_stay(gate: PresenceGate) -> None:
    result = matte((30, 50, 20), (100, 50, 16))
    assert smooth(gate, frame(0), result) is result


def test_it_never_uncovers_and_never_writes_to_its_input(gate: PresenceGate) -> None:
    rng = np.random.default_rng(3)
    for index in range(40):
        noise: F32 = cv2.GaussianBlur(
            src=rng.random((SIDE.height, SIDE.width), np.float32), ksize=(9, 9), sigmaX=0
        )
        noise = np.clip((noise - 0.5) * 6 + 0.4, 0, 1).astype(np.float32)
        given = Matte(noise.copy(), GEOMETRY)
        out = smooth(gate, frame(index), given)
        assert (out.person <= noise).all()
        np.testing.assert_array_equal(given.person, noise)
        assert out.geometry is GEOMETRY


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (67, 101)])
def test_any_size(gate: PresenceGate, shape: tuple[int, int]) -> None:
    person = np.ones(shape, np.float32)
    assert smooth(gate, frame(0), Matte(person, GEOMETRY)).present


def test_the_cost_is_small(gate: PresenceGate) -> None:
    rng = np.random.default_rng(1)
    discs = [(int(x), int(y), 1) for x, y in rng.integers(0, 96, (40, 2))]
    result = matte(PERSON, *discs)
    best = 1.0
    for index in range(60):
        started = time.perf_counter()
        smooth(gate, frame(index), result)
        best = min(best, time.perf_counter() - started)
    assert best < 0.001  # 0.2 ms alone on a core


def test_results_of_other_tasks_pass_and_reset_it(gate: PresenceGate) -> None:
    """A run may change to a driving model and back while it runs."""
    run(gate, [matte()] * 10)
    labels = np.zeros((SIDE.height, SIDE.width), np.uint8)
    scene = SemanticMap(labels, None, GEOMETRY, CAMVID)
    assert gate.smooth(frame(10), scene) is scene
    assert smooth(gate, frame(11), matte(PERSON)).present
