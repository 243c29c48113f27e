"""Live pictures from an OpenCV capture: what cameras and GStreamer pipelines have in common.

A thread of its own drains the device, so that a slow reader gets the newest picture instead of
one that waited in the driver, and ``interrupt`` works while the device is stuck.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import cv2
import numpy as np

from edgeseg.errors import SourceError
from edgeseg.ops.planes import from_bgr, split_i420
from edgeseg.types import U8, Frame, Planes, Size, SourceCounters, SourceInfo

log = logging.getLogger(__name__)

_FAILED_READS = 5
_RETRY_S = 0.05
_JOIN_S = 2.0
_SILENT = 0  # OpenCV's LOG_LEVEL_SILENT
_SAMPLES = 24  # compared pixels per axis; a live sensor's noise changes some of them


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, U8 | None]: ...
    def get(self, propId: int) -> float: ...  # noqa: N803
    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803
    def release(self) -> None: ...


class CaptureReader:
    """Reads frames of an open capture: the newest one when ``live``, every one otherwise.

    Repeated pictures are delivered and counted as duplicated (a sparse sample of pixels is
    compared, so a covered lens that gives pure black counts too). Pictures nobody took in time
    are counted as dropped.
    """

    def __init__(self, capture: Capture, *, name: str, live: bool, stale_s: float) -> None:
        """Takes over the capture and starts to read it.

        name: how messages call the device. stale_s: silence after which ``read`` raises.
        """
        self.counters = SourceCounters()
        self._capture = capture
        self._name = name
        self._live = live
        self._stale_s = stale_s
        self._changed = threading.Condition()
        self._slot: tuple[U8, float] | None = None
        self._stopped = False
        self._ended = False
        self._error: Exception | None = None
        self._sample: U8 | None = None
        self._index = 0
        self._started_at = time.perf_counter()
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)
        self._thread.start()

    def first_size(self, *, timeout_s: float) -> Size | None:
        """Waits for the first picture and returns its size, None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot or self._ended, timeout=timeout_s)
            return None if self._slot is None else _planes(self._slot[0]).size

    def read(self) -> Frame | None:
        """Returns the next frame; None after ``stop`` or at the end of a finite pipeline.

        Raises:
            SourceError: the device failed, or gave nothing for ``stale_s``.
        """
        taken = self._take()
        if taken is None:
            return None
        image, captured_at = taken
        self._count_repeat(image)
        frame = Frame(_planes(image), self._index, captured_at)
        self._index += 1
        return frame

    def stop(self) -> None:
        """Makes ``read`` return None, from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stops and waits for the thread, which releases the device."""
        self.stop()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            log.warning("%s is stuck; it is released once its driver answers", self._name)

    def _take(self) -> tuple[U8, float] | None:
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._slot or self._ended or self._stopped, timeout=self._stale_s
            )
            if self._stopped:
                return None
            taken, self._slot = self._slot, None
            self._changed.notify_all()
        if taken is None and self._error is not None:
            raise self._error
        if not arrived:
            raise SourceError(
                f"{self._name} gave no picture for {self._stale_s:g} s after {self._index} "
                "frames; is it unplugged, or taken by another program?"
            )
        return taken

    def _run(self) -> None:
        try:
            self._drain()
        except cv2.error as error:
            self._error = SourceError(f"{self._name}: {error.err}")
        finally:
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _drain(self) -> None:
        failed = 0
        while not self._stopped:
            image, captured_at = None, 0.0
            if self._capture.grab():
                captured_at = time.perf_counter()
                _ok, image = self._capture.retrieve()
            if image is not None:
                failed = 0
                self._put(image, captured_at)
            elif not self._live:
                return
            else:
                failed += 1
                if failed >= _FAILED_READS:
                    self._error = self._lost()
                    return
                time.sleep(_RETRY_S)

    def _put(self, image: U8, captured_at: float) -> None:
        with self._changed:
            if not self._live:
                self._changed.wait_for(lambda: self._slot is None or self._stopped)
            elif self._slot is not None:
                self.counters.dropped += 1
            self._slot = image, captured_at
            self._changed.notify_all()

    def _lost(self) -> SourceError:
        seconds = time.perf_counter() - self._started_at
        return SourceError(
            f"{self._name} stopped giving pictures after {seconds:.1f} s "
            f"({_FAILED_READS} reads failed in a row); is it unplugged?"
        )

    def _count_repeat(self, image: U8) -> None:
        step_y, step_x = (max(n // _SAMPLES, 1) for n in image.shape[:2])
        sample = image[::step_y, ::step_x].copy()
        if self._sample is not None and np.array_equal(sample, self._sample):
            self.counters.duplicated += 1
        self._sample = sample


class CaptureSource:
    """A Source over a ``CaptureReader``; cameras and GStreamer pipelines are made of it."""

    def __init__(self, reader: CaptureReader, info: SourceInfo, *, max_frames: int | None) -> None:
        self._reader = reader
        self._info = info
        self._left = max_frames

    @property
    def info(self) -> SourceInfo:
        """What the device really gives; requests it did not meet stand in ``notes``."""
        return self._info

    @property
    def counters(self) -> SourceCounters:
        """Repeated and dropped pictures so far."""
        return self._reader.counters

    def read(self) -> Frame | None:
        """Returns the newest frame, None after ``interrupt`` or ``max_frames``.

        Raises:
            SourceError: the device was unplugged or fell silent.
        """
        if self._left == 0:
            return None
        frame = self._reader.read()
        if self._left is not None:
            self._left -= 1
        return frame

    def interrupt(self) -> None:
        """Ends the stream for the reader, from any thread, also while the device is stuck."""
        self._reader.stop()

    def close(self) -> None:
        """Releases the device."""
        self._reader.close()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from writing to stderr while devices are tried; the level is put back."""
    control = getattr(cv2.utils, "logging", cv2)  # OpenCV before 4.8 has no utils.logging
    before = control.setLogLevel(_SILENT)
    try:
        yield
    finally:
        control.setLogLevel(before)


def _planes(image: U8) -> Planes:
    """Converts what a capture gives: BGR [H, W, 3], or I420 [H*3/2, W] from a pipeline."""
    if image.ndim == 3:
        return from_bgr(image).freeze()
    return split_i420(image, Size(image.shape[1], image.shape[0] * 2 // 3)).freeze()
