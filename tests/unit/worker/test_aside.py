"""Work that others need not wait for."""

import threading

from tests.support.waiting import wait_until
from worker.aside import Aside


def test_work_is_done_beside_and_here_once_all_threads_are_busy() -> None:
    aside, go_on = Aside(1, step="test_step"), threading.Event()
    done: list[str] = []

    def note() -> None:
        done.append(threading.current_thread().name)

    def work() -> None:
        go_on.wait(10)
        note()

    aside.run(work)
    aside.run(note)
    assert done == [threading.current_thread().name]
    go_on.set()
    aside.wait(10)
    assert done[1:] == ["test-step"]


def test_work_that_breaks_frees_its_thread() -> None:
    aside = Aside(1, step="test_step")

    def work() -> None:
        raise RuntimeError

    for _ in range(3):
        aside.run(work)
        wait_until(lambda: aside.is_free, what="a free thread")
