"""Sends job ids to workers through Celery and Redis. A message is only a hint; the job store decides."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Condition, Thread
from typing import Any, Protocol

from celery import Celery
from kombu import Queue
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # stubs lack batches

from shared.errors import QueueUnavailable, StoreUnavailable
from shared.jobs.model import Job
from shared.logs import job_context
from shared.redis_client import Redis, RedisError
from shared.requests.retrain_request import with_defaults
from shared.secrets.redactor import Redactor
from shared.settings import Settings

logger = logging.getLogger(__name__)

TASK = "retrain.run_job"
RESULTS = "shared.results:Results"  # by name: senders do not load it
HIGHEST_PRIORITY = 9
SOCKET_SECONDS = 10
SEND_SECONDS = 2  # a client waits for it
RESULT_SECONDS = 7 * 86400
PING_SECONDS = 60
MOST_WAITING = 1000  # messages, for the thread that sends them
MOST_TOGETHER = 100  # in one round trip
PAUSE_SECONDS = 0.02  # after a round trip: what comes meanwhile goes together, at a third of the cost
ROOM_SECONDS = 0.25  # for room among them: who sends faster than Redis takes is slowed down to that
DRAIN_SECONDS = 5.0
OWN_QUEUE = "@{host}"  # a request's queue cannot have this name


Message = tuple[Job, str | None]  # and the host whose worker is to take it, if one


class JobQueue(Protocol):
    """Sends a job's id to the workers."""

    def send(self, job: Job, *, host: str | None = None) -> None:
        """Publish the job's message, to one host's worker if given; raise QueueUnavailable if Redis refuses it."""

    def ping(self) -> None:
        """Write something and read it back; raise QueueUnavailable if that fails."""


class PipelinedQueue(JobQueue, Protocol):
    """Sends many messages at the cost of one round trip."""

    def send_all(self, messages: Sequence[Message]) -> None:
        """Publish them in their order; raise QueueUnavailable if not all may have arrived."""


def make_celery(settings: Settings, *, with_results: bool, socket_seconds: float = SOCKET_SECONDS) -> Celery:
    """Create the Celery app, configured as docs/decisions/0003 explains.

    A sender has no result backend: with one, it would subscribe to the results of everything that it sent.
    """
    url = settings.redis_url.get_secret_value()
    app = Celery("retrain", broker=url, backend=url if with_results else None, set_as_current=with_results)
    app.loader.override_backends = {"redis": RESULTS, "rediss": RESULTS}
    options = {"socket_timeout": socket_seconds, "socket_connect_timeout": socket_seconds, "socket_keepalive": True}
    app.conf.update(
        task_acks_late=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_pool="threads",
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=True,
        task_default_queue="default",
        task_queues=[Queue(name) for name in celery_queues(settings)],
        task_create_missing_queues=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
        result_extended=True,
        result_expires=RESULT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=socket_seconds,
        broker_transport_options={
            **options,
            "priority_steps": list(range(HIGHEST_PRIORITY + 1)),
            "queue_order_strategy": "priority",
        },
        redis_socket_timeout=socket_seconds,
        redis_socket_connect_timeout=socket_seconds,
        redis_socket_keepalive=True,
        redis_retry_on_timeout=True,
    )
    return app


def celery_queues(settings: Settings) -> list[str]:
    """Return what this host's worker listens to: a queue of its own, and its queues (docs/decisions/0010).

    In this order: what the sweep sends has waited longest, and new jobs, which are sent at once, must not overtake it.
    """
    return [OWN_QUEUE.format(host=settings.worker_host), *sorted(settings.worker_queues)]


class CeleryQueue:
    """A PipelinedQueue through Celery and Redis."""

    def __init__(self, settings: Settings, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._celery = make_celery(settings, with_results=False, socket_seconds=SEND_SECONDS)
        self._redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=SEND_SECONDS,
            socket_connect_timeout=SEND_SECONDS,
        )

    def send(self, job: Job, *, host: str | None = None) -> None:
        """Publish under the job's own id, so that Flower and AsyncResult know it by that id."""
        with _told_as_ours():
            self._publish(job, host)

    def send_all(self, messages: Sequence[Message]) -> None:
        """Publish them through one pipeline, which is not repeated if it fails: part of it may have arrived."""
        with _told_as_ours(), self._celery.producer_or_acquire() as producer, producer.batch():
            for job, host in messages:
                self._publish(job, host, producer=producer, retry=False)

    def _publish(self, job: Job, host: str | None, **options: Any) -> None:
        self._celery.send_task(
            TASK,
            kwargs={"job_id": job.id, **self._redactor.within(shown_in_flower(job))},
            task_id=job.id,
            shadow=self._redactor.text(name_in_flower(job)),
            queue=OWN_QUEUE.format(host=host) if host else job.queue,
            priority=HIGHEST_PRIORITY - job.priority,  # on Redis the lowest number goes first
            **options,
        )

    def ping(self) -> None:
        """Write a key that expires, and read it back."""
        try:
            self._redis.set("retrain:ping", "1", ex=PING_SECONDS)
            if self._redis.get("retrain:ping") != b"1":
                raise QueueUnavailable("Redis does not keep what is written to it.")
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error


@contextmanager
def _told_as_ours() -> Iterator[None]:
    try:
        yield
    except (OperationalError, BatchPublishError, RedisError, AttributeError) as error:
        # AttributeError: kombu 5.7 forgets its connection if Redis hangs while it is opened, and then uses it.
        raise QueueUnavailable(f"Redis does not take messages: {error}") from error


class BackgroundQueue:
    """A JobQueue whose messages one thread sends in their order, so that no client waits for Redis.

    They are hints: what cannot be sent, or is still here when the process dies, is left to the sweep.
    """

    def __init__(self, queue: PipelinedQueue, unmark: "Unmark", *, most: int = MOST_WAITING) -> None:
        self._queue = queue
        self._unmark = unmark
        self._most = most
        self._waiting: deque[Message] = deque()  # those that are being sent are the first
        self._changed = Condition()
        self._is_closed = False
        Thread(target=self._send_all, name="sends-messages", daemon=True).start()

    def send(self, job: Job, *, host: str | None = None) -> None:
        """Have it sent soon; raise QueueUnavailable if too many wait for too long already, or the process stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._waiting) < self._most, ROOM_SECONDS)
            if self._is_closed or len(self._waiting) >= self._most:
                raise QueueUnavailable(f"{len(self._waiting)} messages wait to be sent to Redis, and no more may.")
            self._waiting.append((job, host))
            self._changed.notify_all()

    def ping(self) -> None:
        """Write something and read it back, at once."""
        self._queue.ping()

    def close(self, *, seconds: float = DRAIN_SECONDS) -> None:
        """Take no more messages, and wait until those that are here are sent, so long at most."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            while self._waiting and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _send_all(self) -> None:
        while together := self._next():
            if not self._send_together(together):
                for job, host in together:
                    self._send_alone(job, host)
            with self._changed:
                for _ in together:
                    self._waiting.popleft()
                self._changed.notify_all()
            time.sleep(PAUSE_SECONDS)

    def _next(self) -> list[Message]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return list(islice(self._waiting, MOST_TOGETHER))

    def _send_together(self, messages: Sequence[Message]) -> bool:
        try:
            self._queue.send_all(messages)
        except QueueUnavailable:  # what follows for each of them is found out one by one
            return False
        except Exception:  # one of them may be the cause
            logger.exception("messages are sent one by one", extra={"messages": len(messages)})
            return False
        return True

    def _send_alone(self, job: Job, host: str | None) -> None:
        try:
            self._send(job, host)
        except Exception:  # the thread's outermost frame: the next messages are to be sent all the same
            logger.exception("message not sent; the sweep will send it", extra={"job_id": job.id})

    def _send(self, job: Job, host: str | None) -> None:
        if job.state.is_terminal:
            send_for_flower(job, queue=self._queue)
            return
        try:
            send_or_leave_to_sweep(job, queue=self._queue, unmark=self._unmark, host=host)
        except StoreUnavailable as error:
            logger.warning("job left to the sweep", extra={"job_id": job.id, "cause": error.message})


def name_in_flower(job: Job) -> str:
    """Return what Flower's list shows in the task's place, whose own name is the same for all jobs."""
    return f"{job.model_name or job.experiment_name} {job.commit_sha or with_defaults(job.request)['commit_hash']:.10}"


def shown_in_flower(job: Job) -> dict[str, str]:
    """Return what a person wants to see of the job in Flower; without credentials, as the record has none."""
    facts = {
        "experiment_name": job.experiment_name,
        "model_name": job.model_name,
        "git_uri": job.request.get("git_uri"),
        "commit": job.commit_sha or with_defaults(job.request)["commit_hash"],
    }
    return {name: value for name, value in facts.items() if value}


def send_or_leave_to_sweep(job: Job, *, queue: JobQueue, unmark: "Unmark", host: str | None = None) -> bool:
    """Send the job's message; if Redis does not accept it, the next sweep sends it."""
    with job_context(job):
        try:
            queue.send(job, host=host)
        except QueueUnavailable as error:
            logger.warning("message not sent; the sweep will send it", extra={"cause": error.message})
            unmark.unmark_sent(job.id)
            return False
    return True


def send_for_flower(job: Job, *, queue: JobQueue) -> None:
    """Send a message of a job that ended while it waited: the worker that takes it tells Flower how the job ended.

    No task will, and an event of the sender's own would add the sender to Flower's workers.
    """
    with job_context(job):
        try:
            queue.send(job)
        except QueueUnavailable as error:
            logger.warning("Flower is not told of the end", extra={"cause": error.message})


class Unmark(Protocol):
    """The part of the job store that a sender needs."""

    def unmark_sent(self, job_id: str) -> None:
        """Record that the message was not sent after all."""
