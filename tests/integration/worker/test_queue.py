"""The queue on a real Valkey server: messages as the workers will find them, and a server that is gone or full."""

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from kombu import Message, Queue
from kombu.transport.redis import Channel
from pydantic import SecretStr

from shared.errors import QueueUnavailable
from shared.jobs.model import Job
from shared.queue import HIGHEST_PRIORITY, CeleryQueue, make_celery, send_or_leave_to_sweep
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.support.jobs import QUEUES, a_host, new_job, submit
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.threads import at_once
from worker.__main__ import put_nothing_back

PATIENCE_SECONDS = 5


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server of this test's own."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def settings(valkey: Valkey, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for that server, whatever this machine's environment says."""
    monkeypatch.chdir(tmp_path)
    return Settings.load(redis_url=SecretStr(valkey.url), worker_queues=QUEUES)


@pytest.fixture
def queue(settings: Settings) -> CeleryQueue:
    """The queue under test."""
    return CeleryQueue(settings)


def _job(**fields: Any) -> Job:
    new = new_job(**fields)
    return MemoryStore(clock=lambda: datetime(2030, 1, 1, tzinfo=UTC)).submit(new).job


def _messages(valkey: Valkey, pattern: bytes = b"default*") -> list[dict[str, Any]]:
    with valkey.client() as client:
        keys = [key for key in client.scan_iter(pattern) if client.type(key) == b"list"]
        return [json.loads(raw) for key in keys for raw in client.lrange(key, 0, -1)]


def _taken(settings: Settings, count: int) -> list[str]:
    """Ids of the next messages, in the order in which a worker takes them."""
    app = make_celery(settings, with_results=False)
    ids: list[str] = []

    def take(_body: object, message: Message) -> None:
        ids.append(message.headers["id"])
        message.ack()

    with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
        consumer.register_callback(take)
        for _ in range(count):
            connection.drain_events(timeout=PATIENCE_SECONDS)
    return ids


def _seconds_until_unavailable(call: Any) -> float:
    before = time.monotonic()
    with pytest.raises(QueueUnavailable):
        call()
    return time.monotonic() - before


def test_a_sent_job_is_one_message_with_the_jobs_id_in_its_queue(queue: CeleryQueue, valkey: Valkey) -> None:
    job = _job(queue="default", experiment_name="wine", request={})
    queue.send(job)
    [message] = _messages(valkey)
    assert message["headers"]["id"] == job.id
    assert message["headers"]["task"] == "retrain.run_job"
    _args, kwargs, _embedded = json.loads(base64.b64decode(message["body"]))
    assert kwargs == {"job_id": job.id, "experiment_name": "wine", "commit": "main"}  # the default of a request


def test_what_is_sent_to_a_host_is_taken_by_its_worker_and_by_no_other_one(
    queue: CeleryQueue, valkey: Valkey, settings: Settings
) -> None:
    pinned, free = _job(), _job()
    queue.send(pinned, host="gpu-2")
    queue.send(free)
    assert [message["headers"]["id"] for message in _messages(valkey, b"@gpu-2*")] == [pinned.id]
    assert _taken(settings, 1) == [free.id]
    assert _taken(settings.model_copy(update={"worker_host": "gpu-2"}), 1) == [pinned.id]


def test_what_is_sent_to_a_host_goes_before_what_is_for_any_but_not_before_a_higher_priority(
    queue: CeleryQueue, settings: Settings
) -> None:
    urgent, new, old = _job(priority=5), _job(), _job()
    queue.send(new)
    queue.send(old, host=settings.worker_host)
    queue.send(urgent)
    assert _taken(settings, 3) == [urgent.id, old.id, new.id]


def test_a_message_holds_of_the_request_what_flower_is_to_show(queue: CeleryQueue, valkey: Valkey) -> None:
    request = {"git_uri": "https://git.example/iris.git", "commit_hash": "main", "parameters": {"key": "hunter2"}}
    queue.send(_job(request=request, model_name="iris"))
    queue.send(_job(request=request, commit_sha="f" * 40))
    found = [json.loads(base64.b64decode(message["body"]))[1] for message in _messages(valkey)]
    shown = [{name: value for name, value in kwargs.items() if name != "job_id"} for kwargs in found]
    common = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"}
    assert {**common, "model_name": "iris", "commit": "main"} in shown
    assert {**common, "commit": "f" * 40} in shown


def test_a_job_of_another_queue_goes_there(queue: CeleryQueue, valkey: Valkey) -> None:
    job = _job(queue="gpu")
    queue.send(job)
    assert _messages(valkey) == []
    assert [message["headers"]["id"] for message in _messages(valkey, b"gpu*")] == [job.id]


def test_higher_priority_is_taken_first_and_then_what_was_sent_first(queue: CeleryQueue, settings: Settings) -> None:
    jobs = [_job(priority=priority) for priority in (4, 0, 9, 4, 8)]
    for job in jobs:
        queue.send(job)
    assert _taken(settings, 5) == [jobs[n].id for n in (2, 4, 0, 3, 1)]


def test_each_priority_has_a_place_of_its_own(queue: CeleryQueue, settings: Settings) -> None:
    jobs = [_job(priority=priority) for priority in range(HIGHEST_PRIORITY + 1)]
    for job in jobs:
        queue.send(job)
    assert _taken(settings, len(jobs)) == [job.id for job in reversed(jobs)]


def test_ping_writes_and_leaves_nothing_for_long(queue: CeleryQueue, valkey: Valkey) -> None:
    queue.ping()
    with valkey.client() as client:
        assert 0 < client.ttl("retrain:ping") <= 60


def test_many_threads_send_through_one_queue(queue: CeleryQueue, valkey: Valkey) -> None:
    jobs = [_job() for _ in range(20)]
    at_once(20, lambda n: queue.send(jobs[n]))
    assert sorted(message["headers"]["id"] for message in _messages(valkey)) == sorted(job.id for job in jobs)


def test_many_messages_are_as_if_sent_one_by_one_and_take_few_round_trips(queue: CeleryQueue, valkey: Valkey) -> None:
    jobs = [_job(model_name=f"iris-{number}", priority=number % 3) for number in range(50)]
    with valkey.client() as client, client.pubsub() as told:
        told.psubscribe("*celeryev*")
        told.get_message(timeout=PATIENCE_SECONDS)
        for job in jobs:
            queue.send(job)
        alone, events = _messages(valkey), _events(told, 50)
        client.delete(*client.keys("default*"))
        before = client.info("stats")["total_reads_processed"]
        queue.send_all([(job, None) for job in jobs])
        assert client.info("stats")["total_reads_processed"] - before < 10
        assert [_lasting(each) for each in _messages(valkey)] == [_lasting(each) for each in alone]
        assert _events(told, 50) == events
    assert [each["uuid"] for each in events] == [job.id for job in jobs]


def _lasting(message: dict[str, Any]) -> dict[str, Any]:
    """What is the same each time that the same job is sent."""
    return {**message, "properties": {**message["properties"], "delivery_tag": ""}}


def _events(told: Any, count: int) -> list[dict[str, Any]]:
    """The next events, without what is never the same."""
    found = [json.loads(told.get_message(timeout=PATIENCE_SECONDS)["data"]) for _ in range(count)]
    bodies = [json.loads(base64.b64decode(each["body"])) for each in found]
    return [{name: value for name, value in body.items() if name not in ("timestamp", "clock")} for body in bodies]


def test_sending_says_soon_that_the_server_is_gone_and_works_when_it_is_back(
    queue: CeleryQueue, valkey: Valkey
) -> None:
    first, lost, last = _job(), _job(), _job()
    queue.send(first)
    valkey.stop()
    assert _seconds_until_unavailable(lambda: queue.send(lost)) < PATIENCE_SECONDS
    assert _seconds_until_unavailable(lambda: queue.send_all([(lost, None)])) < PATIENCE_SECONDS
    assert _seconds_until_unavailable(queue.ping) < PATIENCE_SECONDS
    valkey.start()
    queue.ping()
    queue.send(last)
    assert [message["headers"]["id"] for message in _messages(valkey)] == [last.id, first.id]


def test_a_restart_that_no_call_noticed_loses_no_message(queue: CeleryQueue, valkey: Valkey) -> None:
    first, second = _job(), _job()
    queue.send(first)
    queue.ping()
    valkey.stop()
    valkey.start()
    queue.ping()
    queue.send(second)
    assert [message["headers"]["id"] for message in _messages(valkey)] == [second.id, first.id]


def test_a_server_that_hangs_does_not_hang_the_sender(queue: CeleryQueue, valkey: Valkey) -> None:
    queue.send(_job())
    queue.ping()
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        assert _seconds_until_unavailable(queue.ping) < 3 * PATIENCE_SECONDS
        assert _seconds_until_unavailable(lambda: queue.send_all([(_job(), None)])) < 3 * PATIENCE_SECONDS
        assert _seconds_until_unavailable(lambda: queue.send(_job())) < 3 * PATIENCE_SECONDS
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


def test_a_full_server_is_unavailable(queue: CeleryQueue, valkey: Valkey) -> None:
    queue.send(_job())
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
    for call in (queue.ping, lambda: queue.send(_job())):
        with pytest.raises(QueueUnavailable, match="maxmemory"):
            call()
    with pytest.raises(QueueUnavailable):
        queue.send_all([(_job(), None)])


def test_a_wrong_password_is_told_and_not_repeated(valkey: Valkey, settings: Settings) -> None:
    with valkey.client() as client:
        client.config_set("requirepass", "right")
    wrong = settings.model_copy(update={"redis_url": SecretStr(f"redis://:hunter2@127.0.0.1:{valkey.port}/0")})
    queue = CeleryQueue(wrong)
    for call in (queue.ping, lambda: queue.send(_job()), lambda: queue.send_all([(_job(), None)])):
        with pytest.raises(QueueUnavailable) as caught:
            call()
        assert "hunter2" not in str(caught.value)


def test_what_could_not_be_sent_is_left_to_the_sweep(queue: CeleryQueue, valkey: Valkey) -> None:
    store = MemoryStore()
    job = store.get(submit(store))
    valkey.stop()
    assert not send_or_leave_to_sweep(job, queue=queue, unmark=store)
    [sendable] = store.take_sendable(a_host(), resend_after_seconds=3600)
    valkey.start()
    assert send_or_leave_to_sweep(sendable, queue=queue, unmark=store)
    assert [message["headers"]["id"] for message in _messages(valkey)] == [job.id]


def test_a_message_that_was_held_when_redis_went_away_ends_no_worker(
    valkey: Valkey, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "do_restore", True)  # as kombu has it; put back after the test
    put_nothing_back()
    app = make_celery(settings, with_results=True)
    app.send_task("any", queue="default")
    connection = app.connection_for_read()
    channel: Any = connection.default_channel
    assert Queue("default", channel=channel).get() is not None  # held: not acknowledged
    os.kill(valkey.pid, signal.SIGKILL)
    channel.connection.client = None  # as kombu leaves it when the connection breaks
    channel.close()
