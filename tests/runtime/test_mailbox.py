from __future__ import annotations

import threading
import time

import pytest

from edgeseg.runtime.mailbox import Closed, Mailbox, Outbox, Turnstile


def put_all(box: Mailbox[int], numbers: range) -> int:
    return sum(box.put(n) for n in numbers)


def test_wait_blocks_the_giver_until_there_is_room() -> None:
    box: Mailbox[int] = Mailbox(capacity=2, policy="wait")
    put_all(box, range(2))
    done = threading.Event()

    def put_and_say() -> None:
        box.put(2)
        done.set()

    giver = threading.Thread(target=put_and_say)
    giver.start()
    assert not done.wait(0.05)
    assert box.take() == (0, 0)
    assert done.wait(2)
    giver.join()
    assert [box.take(), box.take()] == [(1, 1), (2, 2)]


def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    box: Mailbox[int] = Mailbox(capacity=3, policy="drop_oldest")
    assert put_all(box, range(10)) == 7
    box.finish()
    assert [box.take() for _ in range(4)] == [(0, 7), (1, 8), (2, 9), None]


def test_latest_keeps_one_whatever_the_capacity() -> None:
    box: Mailbox[int] = Mailbox(capacity=8, policy="latest")
    assert put_all(box, range(5)) == 4
    assert box.take() == (0, 4)


def test_finish_lets_the_rest_out_then_none() -> None:
    box: Mailbox[int] = Mailbox(capacity=4, policy="wait")
    box.put(1)
    box.finish()
    assert [box.take(), box.take(), box.take()] == [(0, 1), None, None]


def test_clear_counts_what_it_threw_away() -> None:
    box: Mailbox[int] = Mailbox(capacity=4, policy="wait")
    put_all(box, range(3))
    assert box.clear() == 3
    assert box.clear() == 0


@pytest.mark.parametrize("blocked", ["put", "take"])
def test_abort_ends_whoever_waits(blocked: str) -> None:
    box: Mailbox[int] = Mailbox(capacity=1, policy="wait")
    if blocked == "put":
        box.put(0)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            box.put(1) if blocked == "put" else box.take()
        except Closed as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    box.abort()
    thread.join(2)
    assert len(ended) == 1


def test_outbox_restores_order_over_many_givers() -> None:
    givers = 4
    box: Outbox[int] = Outbox(capacity=givers + 1, givers=givers)
    source: Mailbox[int] = Mailbox(capacity=4, policy="wait")

    def work() -> None:
        while (job := source.take()) is not None:
            time.sleep(0.0005 * (job[1] * 7 % 5))
            box.put(*job)
        box.giver_left()

    threads = [threading.Thread(target=work) for _ in range(givers)]

    def feed() -> None:
        put_all(source, range(200))
        source.finish()

    feeder = threading.Thread(target=feed)
    for thread in (*threads, feeder):
        thread.start()
    seen = []
    while True:
        item = box.take(1.0)
        if item is None:
            break
        seen.append(item)
    for thread in (*threads, feeder):
        thread.join()
    assert seen == list(range(200))
    assert box.finished


def test_outbox_holds_back_a_giver_that_is_too_far_ahead() -> None:
    box: Outbox[str] = Outbox(capacity=2, givers=1)
    done = threading.Event()

    def put_and_say() -> None:
        box.put(2, "c")
        done.set()

    giver = threading.Thread(target=put_and_say)
    giver.start()
    assert not done.wait(0.05)
    box.put(0, "a")
    assert box.take(1.0) == "a"
    assert done.wait(2)
    giver.join()


def test_outbox_take_times_out_without_finishing() -> None:
    box: Outbox[str] = Outbox(capacity=2, givers=1)
    assert box.take(0.01) is None
    assert not box.finished


def test_turnstile_lets_tickets_through_in_order() -> None:
    gate = Turnstile()
    order: list[int] = []

    def pass_through(ticket: int) -> None:
        with gate.turn(ticket):
            order.append(ticket)

    threads = [threading.Thread(target=pass_through, args=(n,)) for n in reversed(range(20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_turnstile_passes_the_turn_on_when_the_work_raises() -> None:
    gate = Turnstile()
    with pytest.raises(RuntimeError, match="mine"), gate.turn(0):
        raise RuntimeError("mine")
    with gate.turn(1):
        pass


def test_turnstile_abort() -> None:
    gate = Turnstile()
    gate.abort()
    with pytest.raises(Closed), gate.turn(5):
        pass
