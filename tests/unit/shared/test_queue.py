"""The queue's settings and its fallback; what a server does with them is tested on a real one."""

import pytest
from celery._state import get_current_app

from shared.jobs.model import Job
from shared.queue import make_celery, send_or_leave_to_sweep
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import a_host, new_job
from tests.support.log_lines import Log

LONG = 3600.0


@pytest.fixture
def settings(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The defaults, whatever this machine's environment says."""
    monkeypatch.chdir(str(tmp_path))
    return Settings.load(worker_queues=frozenset({"gpu", "cpu"}), worker_host="gpu-1")


@pytest.fixture
def store() -> MemoryStore:
    """A store without jobs."""
    return MemoryStore()


@pytest.fixture
def job(store: MemoryStore) -> Job:
    """A job whose message is to be sent."""
    return store.submit(new_job()).job


def _sendable(store: MemoryStore) -> list[str]:
    return [job.id for job in store.take_sendable(a_host(), resend_after_seconds=LONG)]


def test_a_job_that_was_sent_is_not_left_to_the_sweep(store: MemoryStore, job: Job) -> None:
    queue = RecordingQueue()
    assert send_or_leave_to_sweep(job, queue=queue, unmark=store)
    assert queue.sent == [job.id]
    assert _sendable(store) == []


def test_a_job_that_could_not_be_sent_is_left_to_the_sweep(store: MemoryStore, job: Job, log: Log) -> None:
    queue = RecordingQueue()
    queue.down = True
    assert not send_or_leave_to_sweep(job, queue=queue, unmark=store)
    assert _sendable(store) == [job.id]
    assert log.object["job_id"] == job.id


def test_a_worker_acknowledges_early_and_holds_nothing_back(settings: Settings) -> None:
    conf = make_celery(settings, with_results=True).conf
    assert (conf.task_acks_late, conf.worker_disable_prefetch, conf.worker_prefetch_multiplier) == (False, True, 1)
    assert conf.worker_pool == "threads"
    assert [queue.name for queue in conf.task_queues] == ["@gpu-1", "cpu", "gpu"]


def test_a_worker_waits_for_redis_for_ever_and_for_each_answer_only_so_long(settings: Settings) -> None:
    conf = make_celery(settings, with_results=True).conf
    assert conf.broker_connection_retry_on_startup
    assert conf.broker_connection_max_retries is None
    assert conf.broker_transport_options["socket_timeout"] == conf.redis_socket_timeout == 10


def test_a_sender_keeps_no_results_and_is_not_the_processes_celery_app(settings: Settings) -> None:
    sender = make_celery(settings, with_results=False)
    assert sender.conf.result_backend is None
    assert get_current_app() is not sender
