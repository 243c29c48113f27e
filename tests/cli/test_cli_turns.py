import os
import threading

import pytest

from edgeseg.cli.run import longer_turns

if not hasattr(os, "sched_getscheduler"):
    pytest.skip("only Linux has scheduling policies", allow_module_level=True)


def test_threads_started_inside_get_longer_turns_and_the_policy_comes_back() -> None:
    seen: list[int] = []
    before = os.sched_getscheduler(0)
    with longer_turns():
        thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))
        thread.start()
        thread.join()
    assert seen == [os.SCHED_BATCH if before == os.SCHED_OTHER else before]
    assert os.sched_getscheduler(0) == before


def test_a_policy_the_user_chose_stays() -> None:
    seen: list[int] = []

    def idle() -> None:  # in a thread of its own: not every user may leave this policy again
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with longer_turns():
            seen.append(os.sched_getscheduler(0))
        seen.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=idle)
    thread.start()
    thread.join()
    assert seen == [os.SCHED_IDLE, os.SCHED_IDLE]
