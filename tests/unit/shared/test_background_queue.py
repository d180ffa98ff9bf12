"""The queue of those whom a client waits for: one thread sends, in order; what fails is left to the sweep."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from shared.errors import QueueUnavailable
from shared.jobs.model import Job, JobState
from shared.queue import BackgroundQueue, Message, send_or_leave_to_sweep
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import a_host, new_job
from tests.support.log_lines import Log
from tests.support.waiting import wait_until


class HeldQueue(RecordingQueue):
    """A Redis that hangs until it is let go; one job's message breaks it in a way that nobody expects."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.asked: list[int] = []  # how many messages each time
        self.breaks_for = ""

    def send(self, job: Job, *, host: str | None = None) -> None:
        self._hang([job])
        super().send(job, host=host)

    def send_all(self, messages: Sequence[Message]) -> None:
        self._hang([job for job, _host in messages])
        super().send_all(messages)

    def _hang(self, jobs: Sequence[Job]) -> None:
        self.asked.append(len(jobs))
        self.let_go.wait(30)
        if self.breaks_for in [job.id for job in jobs]:
            raise ValueError("a message that cannot be written")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def redis() -> HeldQueue:
    return HeldQueue()


@pytest.fixture
def queue(redis: HeldQueue, store: MemoryStore) -> Iterator[BackgroundQueue]:
    made = BackgroundQueue(redis, store, most=3)
    yield made
    redis.let_go.set()
    made.close()


def _sendable(store: MemoryStore) -> list[str]:
    return [job.id for job in store.take_sendable(a_host(), resend_after_seconds=3600)]


def _jobs(store: MemoryStore, number: int) -> list[Job]:
    return [store.submit(new_job()).job for _ in range(number)]


def test_nobody_waits_for_redis_and_all_is_sent_in_order(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    jobs = _jobs(store, 3)
    for job in jobs:
        queue.send(job, host="gpu-2")
    assert redis.sent == []
    redis.let_go.set()
    wait_until(lambda: redis.sent == [job.id for job in jobs])
    assert redis.hosts == ["gpu-2"] * 3


def test_what_redis_does_not_take_is_left_to_the_sweep(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore, log: Log
) -> None:
    [job] = _jobs(store, 1)
    redis.down = True
    redis.let_go.set()
    queue.send(job)
    wait_until(lambda: _sendable(store) == [job.id])
    assert log.object["job_id"] == job.id


def test_what_a_dead_process_had_not_sent_is_sent_by_the_sweep_once_its_mark_is_old(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    [job] = _jobs(store, 1)
    queue.send(job)
    wait_until(lambda: redis.asked == [1])
    assert _sendable(store) == []
    assert [each.id for each in store.take_sendable(a_host(), resend_after_seconds=0)] == [job.id]


def test_more_messages_than_may_wait_are_left_to_the_sweep(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    jobs = _jobs(store, 5)
    queue.send(jobs[0])
    wait_until(lambda: redis.asked == [1])
    sent = [send_or_leave_to_sweep(job, queue=queue, unmark=store) for job in jobs[1:]]
    assert sent == [True, True, False, False]
    assert sorted(_sendable(store)) == sorted(job.id for job in jobs[3:])


def test_who_sends_faster_than_redis_takes_waits_a_moment_for_room(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.queue.ROOM_SECONDS", 30)
    jobs = _jobs(store, 6)
    threading.Timer(0.05, redis.let_go.set).start()
    for job in jobs:
        queue.send(job)
    wait_until(lambda: redis.sent == [job.id for job in jobs])


def test_what_comes_while_redis_takes_a_message_goes_together_and_in_order(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    jobs = _jobs(store, 3)
    queue.send(jobs[0])
    wait_until(lambda: redis.asked == [1])
    for job in jobs[1:]:
        queue.send(job)
    redis.let_go.set()
    wait_until(lambda: redis.sent == [job.id for job in jobs])
    assert redis.asked == [1, 2]


def test_what_redis_does_not_take_together_is_tried_one_by_one(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    first, broken, good = _jobs(store, 3)
    queue.send(first)
    wait_until(lambda: redis.asked == [1])
    queue.send(broken)
    queue.send(good)
    redis.breaks_for = broken.id
    redis.let_go.set()
    wait_until(lambda: redis.sent == [first.id, good.id])
    assert redis.asked == [1, 2, 1, 1]


def test_a_message_that_breaks_does_not_keep_the_next_ones_from_being_sent(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    broken, good = _jobs(store, 2)
    redis.breaks_for = broken.id
    redis.let_go.set()
    queue.send(broken)
    queue.send(good)
    wait_until(lambda: redis.sent == [good.id])


def test_the_end_of_a_job_that_waited_is_told_without_touching_its_record(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore, log: Log
) -> None:
    [job] = _jobs(store, 1)
    redis.down = True
    redis.let_go.set()
    queue.send(replace(job, state=JobState.CANCELLED))
    wait_until(lambda: log.objects)
    assert log.object["message"] == "Flower is not told of the end"
    assert _sendable(store) == []


def test_closing_sends_what_waits_and_takes_nothing_more(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    jobs = _jobs(store, 3)
    for job in jobs:
        queue.send(job)
    threading.Timer(0.1, redis.let_go.set).start()
    queue.close()
    assert redis.sent == [job.id for job in jobs]
    with pytest.raises(QueueUnavailable):
        queue.send(jobs[0])


def test_closing_does_not_wait_for_ever_for_a_redis_that_hangs(
    queue: BackgroundQueue, redis: HeldQueue, store: MemoryStore
) -> None:
    queue.send(_jobs(store, 1)[0])
    wait_until(lambda: redis.asked == [1])
    queue.close(seconds=0.05)
    assert redis.sent == []


def test_whether_redis_answers_is_asked_at_once(queue: BackgroundQueue, redis: HeldQueue) -> None:
    redis.down = True
    with pytest.raises(QueueUnavailable):
        queue.ping()
