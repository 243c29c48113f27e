from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from fakes import (
    FunctionEffect,
    FunctionSegmenter,
    KeySink,
    ListSink,
    ListSource,
    RecordingSmoother,
)

from edgeseg.errors import Interrupted, SinkError, SinkRefused, SourceError
from edgeseg.meter import Meter
from edgeseg.runtime.mailbox import MailboxPolicy
from edgeseg.runtime.pipeline import Pipeline
from edgeseg.runtime.recipe import Flow, Recipe
from edgeseg.types import Frame, Planes


def build(
    source: ListSource,
    *sinks: ListSink,
    segmenter: FunctionSegmenter | None = None,
    effect: FunctionEffect | None = None,
    smoother: RecordingSmoother | None = None,
    policy: MailboxPolicy = "wait",
    workers: int = 3,
    **options: Any,
) -> Pipeline:
    return Pipeline(
        source=source,
        recipe=Recipe(segmenter or FunctionSegmenter(), effect or FunctionEffect()),
        smoother=smoother or RecordingSmoother(),
        sinks=sinks or (ListSink(),),
        flow=Flow(policy, 4, workers),
        meter=Meter(),
        **options,
    )


def uneven(frame: Frame) -> None:
    time.sleep(0.001 * (frame.index * 5 % 4))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_file_arrives_whole_and_in_order(workers: int) -> None:
    sink, smoother = ListSink(), RecordingSmoother()
    source = ListSource(60)
    pipeline = build(
        source, sink, segmenter=FunctionSegmenter(uneven), smoother=smoother, workers=workers
    )
    pipeline.run()
    assert sink.indices == list(range(60))
    assert sink.lumas == list(range(60))
    assert smoother.order == list(range(60))
    frames = pipeline.meter.report()["frames"]
    assert frames == {
        "captured": 60,
        "inferred": 60,
        "rendered": 60,
        "written": 60,
        "dropped": 0,
        "duplicated": 0,
    }
    assert (sink.opened, sink.closed, source.closed) == (1, 1, 1)


def test_an_empty_source_writes_nothing_and_ends() -> None:
    sink = ListSink()
    build(ListSource(0), sink).run()
    assert (sink.indices, sink.closed) == ([], 1)


@pytest.mark.parametrize("policy", ["drop_oldest", "latest"])
def test_live_drops_are_counted_and_the_newest_wins(policy: MailboxPolicy) -> None:
    sink = ListSink()
    source = ListSource(60, live=True, before=lambda index: time.sleep(0.002))
    slow = FunctionSegmenter(lambda frame: time.sleep(0.02))
    pipeline = build(source, sink, segmenter=slow, policy=policy, workers=1)
    pipeline.run()
    frames = pipeline.meter.report()["frames"]
    assert frames["dropped"] > 10
    assert frames["captured"] == 60 == frames["written"] + frames["dropped"]
    assert sink.indices == sorted(set(sink.indices))
    assert sink.indices[-1] == 59


def test_memory_stays_bounded_when_the_sink_is_slow() -> None:
    ahead: list[int] = []
    source = ListSource(80)
    sink = ListSink()

    def write(item: object) -> None:
        time.sleep(0.002)
        ahead.append(source._index - len(sink.indices))

    sink._hooks = (sink._hooks[0], write, sink._hooks[2])
    build(source, sink, workers=3).run()
    assert max(ahead) <= 4 + 2 * 3 + 3  # mailbox, workers and outbox, what source and sink hold


def boom(error: Exception, at: int) -> Any:
    def work(frame: Frame) -> None:
        if frame.index == at:
            raise error

    return work


FAILURES = ["source", "segment", "smooth", "effect", "sink"]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("where", FAILURES)
def test_the_first_error_ends_the_run_and_finalises(where: str, live: bool) -> None:
    error = {"source": SourceError("lost"), "sink": SinkError("full")}.get(
        where, RuntimeError(where)
    )
    fail = boom(error, 7)

    def source_fails(index: int) -> None:
        time.sleep(0.002 if live else 0)
        if where == "source" and index == 7:
            raise error

    def sink_fails(item: Any) -> None:
        if where == "sink":
            fail(item.frame)

    source = ListSource(None, live=live, before=source_fails)
    sink = ListSink(on_write=sink_fails)
    nothing = lambda frame: None  # noqa: E731
    pipeline = build(
        source,
        sink,
        segmenter=FunctionSegmenter(fail if where == "segment" else nothing),
        smoother=RecordingSmoother(fail if where == "smooth" else nothing),
        effect=FunctionEffect(fail if where == "effect" else nothing),
        policy="drop_oldest" if live else "wait",
    )
    started = time.perf_counter()
    with pytest.raises(type(error)) as caught:
        pipeline.run()
    assert caught.value is error
    assert time.perf_counter() - started < 2
    assert (sink.closed, source.closed) == (1, 1)
    if not live:
        assert sink.indices == list(range(7)), "frames before the failure are written"
    assert not [t for t in threading.enumerate() if t.name.startswith("edgeseg-")]


def test_a_sink_that_refuses_to_open_stops_everything_before_it_starts() -> None:
    def refuse(info: object) -> None:
        raise SinkRefused("exists")

    first, second = ListSink(), ListSink(on_open=refuse)
    source = ListSource(5)
    with pytest.raises(SinkRefused, match="exists"):
        build(source, first, second).run()
    assert (first.closed, second.closed, source.closed) == (1, 1, 1)
    assert first.indices == []


def test_an_error_while_closing_is_raised_and_the_others_are_closed() -> None:
    def fail() -> None:
        raise SinkError("trailer not written")

    first, second = ListSink(on_close=fail), ListSink()
    with pytest.raises(SinkError, match="trailer"):
        build(ListSource(3), first, second).run()
    assert second.closed == 1


def test_an_error_while_closing_does_not_hide_the_first_error() -> None:
    def fail() -> None:
        raise SinkError("trailer not written")

    pipeline = build(
        ListSource(9),
        ListSink(on_close=fail),
        segmenter=FunctionSegmenter(boom(ValueError("first"), 2)),
    )
    with pytest.raises(ValueError, match="first"):
        pipeline.run()


def test_interrupt_finalises_and_raises() -> None:
    source = ListSource(None, before=lambda index: time.sleep(0.002))
    sink = ListSink()
    pipeline = build(source, sink)
    threading.Timer(0.1, pipeline.interrupt).start()
    with pytest.raises(Interrupted):
        pipeline.run()
    assert sink.closed == 1
    assert sink.indices == list(range(len(sink.indices)))
    frames = pipeline.meter.report()["frames"]
    assert frames["captured"] == frames["written"] + frames["dropped"]


def test_interrupt_reaches_a_source_that_blocks() -> None:
    source = ListSource(None, live=True)
    source._before = lambda index: source.wait(60) if index == 3 else None
    pipeline = build(source, policy="drop_oldest")
    threading.Timer(0.1, pipeline.interrupt).start()
    started = time.perf_counter()
    with pytest.raises(Interrupted):
        pipeline.run()
    assert time.perf_counter() - started < 2


def test_q_ends_the_run_without_an_error() -> None:
    keys = KeySink(["", "", "x", "q"])
    pressed: list[str] = []

    def on_key(running: Pipeline, key: str) -> None:
        pressed.append(key)
        if key == "q":
            running.end()

    source = ListSource(None, live=True, before=lambda index: time.sleep(0.002))
    pipeline = build(source, keys, policy="drop_oldest", on_key=on_key)
    pipeline.run()
    assert pressed == ["x", "q"]
    assert keys.closed == 1


def test_pause_holds_a_file_back_and_loses_nothing() -> None:
    sink = ListSink()
    source = ListSource(50, before=lambda index: time.sleep(0.001))
    pipeline = build(source, sink)
    pipeline.pause(True)
    counts: list[int] = []

    def go_on() -> None:
        counts.append(len(sink.indices))
        pipeline.pause(False)

    threading.Timer(0.2, go_on).start()
    pipeline.run()
    assert counts == [0]
    assert sink.indices == list(range(50))


def test_swap_changes_model_and_effect_and_resets_the_smoother() -> None:
    smoother = RecordingSmoother()
    used: list[str] = []
    second = FunctionSegmenter(lambda frame: used.append("second"), name="second")

    def swap_at_ten(frame: Frame) -> None:
        used.append("first")
        if frame.index == 10:
            pipeline.swap(Recipe(second, FunctionEffect()))

    first = FunctionSegmenter(swap_at_ten, name="first")
    pipeline = build(ListSource(30), segmenter=first, smoother=smoother, workers=1)
    pipeline.run()
    assert used == ["first"] * 11 + ["second"] * 19
    assert smoother.resets == 1


def test_hud_is_drawn_for_interactive_sinks_after_files_were_written() -> None:
    def draw(picture: Planes, frame: Frame, recipe: Recipe) -> None:
        picture.y[...] = 255

    clean, window = ListSink(), KeySink([])
    build(ListSource(5), window, clean, draw_hud=draw).run()
    assert clean.lumas == list(range(5))
    assert window.lumas == [255] * 5


def test_hud_everywhere_is_in_the_file_too() -> None:
    def draw(picture: Planes, frame: Frame, recipe: Recipe) -> None:
        picture.y[...] = 255

    clean = ListSink()
    build(ListSource(3), clean, draw_hud=draw, hud_everywhere=True).run()
    assert clean.lumas == [255] * 3


def test_every_stage_is_timed() -> None:
    pipeline = build(ListSource(10))
    pipeline.run()
    stages = pipeline.meter.report()["stages_ms"]
    assert list(stages) == [
        "decode",
        "preprocess",
        "infer",
        "decode_result",
        "smooth",
        "effect",
        "encode",
    ]
    assert all(v is not None for stage in stages.values() for v in stage.values())
