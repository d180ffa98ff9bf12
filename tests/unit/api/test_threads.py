"""Threads that answer requests are started as requests need them, up to a limit, and then stay."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.http.threads import ThreadsAsNeeded
from tests.support.waiting import wait_until


class Task:
    """A request that is answered once it may be."""

    def __init__(self) -> None:
        self.may_end, self.began, self.ended = threading.Event(), threading.Event(), threading.Event()

    def service(self) -> None:
        self.began.set()
        self.may_end.wait(10)
        self.ended.set()

    def cancel(self) -> None:
        self.may_end.set()


@contextmanager
def running(most: int) -> Iterator[ThreadsAsNeeded]:
    threads = ThreadsAsNeeded(most)
    try:
        yield threads
    finally:
        threads.shutdown(timeout=5)
        assert not threads.threads


def begun(threads: ThreadsAsNeeded) -> Task:
    task = Task()
    threads.add_task(task)
    assert task.began.wait(10)
    return task


def end(threads: ThreadsAsNeeded, *tasks: Task) -> None:
    """End the tasks, and wait until their threads are free."""
    busy = threads.active_count
    for task in tasks:
        task.may_end.set()
    wait_until(lambda: threads.active_count == busy - len(tasks), timeout_seconds=10, what="free threads")


def test_there_is_none_before_the_first_request_and_one_does_for_one_after_the_other() -> None:
    with running(5) as threads:
        assert len(threads.threads) == 0
        for _ in range(3):
            end(threads, begun(threads))
        assert len(threads.threads) == 1


def test_requests_at_once_have_a_thread_each_up_to_the_limit_and_the_next_waits() -> None:
    with running(2) as threads:
        first, second, third = begun(threads), begun(threads), Task()
        threads.add_task(third)
        assert len(threads.threads) == 2
        assert not third.began.wait(0.05)
        first.may_end.set()
        assert third.began.wait(10)
        end(threads, second, third)


def test_where_the_machine_gives_no_more_threads_a_request_waits_for_one_that_is_there() -> None:
    class Short(ThreadsAsNeeded):
        def start_new_thread(self, target: object, thread_no: int) -> None:
            if thread_no > 0:
                raise RuntimeError("can't start new thread")
            super().start_new_thread(target, thread_no)

    threads = Short(5)
    first, second = begun(threads), Task()
    threads.add_task(second)
    first.may_end.set()
    assert second.began.wait(10)
    assert len(threads.threads) == 1
    end(threads, second)
    threads.shutdown(timeout=5)
