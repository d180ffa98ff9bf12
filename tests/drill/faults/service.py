"""Faults of the services: workers, API, Redis, messages, MLflow, database."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime

import psycopg
import requests

from shared.jobs.model import Job
from shared.queue import CeleryQueue
from shared.settings import Settings
from tests.drill.faults.scene import Inject, Kind, Scene, wait
from tests.drill.machine import Machine
from tests.drill.parts import Part
from tests.drill.records import JobRow
from tests.drill.stack import DEFAULT, DOCKER, NOBODY_S
from tests.support.waiting import wait_until

Lock = Callable[[Machine], AbstractContextManager[None]]
LONG_PAUSE_SECONDS = 60
PATIENCE_SECONDS = 20
SILENCES, SILENT_SECONDS = 8, 5
CANCELLED_SECONDS = 10  # 2, and what a machine under this load takes for it
REFUSED_SECONDS = 60  # a program's start, and a sign of the one whose name it asks for


def service_kinds(*, is_sqlite: bool, has_guard: bool = False) -> list[Kind]:
    """The kinds that need nothing but the stack itself."""
    redis = {"SIGKILL": _kill_redis, "clean restart": _restart_redis, "FLUSHALL": _flush_redis, "paused": _pause_redis}
    mlflow = {
        "down at start": _mlflow_at_start,
        "down midway": _mlflow_midway,
        "down at end": _mlflow_at_end,
        "silent, and jobs are cancelled": _cancel_behind_mlflow,
        **({"its guard killed": _kill_guard} if has_guard else {}),
    }
    worker = {
        "SIGKILL": _kill_worker,
        "SIGTERM": _terminate_worker,
        "SIGKILL of all": _kill_all,
        "another machine's beside it": _start_twin,
        "another machine's while it is down": _start_twin_meanwhile,
    }
    lock = _lock_sqlite if is_sqlite else _lock_postgresql
    locks = {"locked for a while": _locked(lock, 1, 4), "locked for longer than anybody waits": _locked(lock, 6, 10)}
    return [
        Kind("worker", worker),
        Kind("API", {"SIGKILL during POSTs": _kill_api, "SIGKILL before the message": _kill_api_before_publish}),
        Kind("Redis", redis, rare={"paused for 60 s": _pause_redis_long}),
        Kind("messages", {"duplicated": _duplicate, "dropped": _drop}),
        Kind("MLflow", mlflow),
        Kind("database", locks),
    ]


def _kill_worker(scene: Scene) -> None:
    _stop_workers(scene, [scene.random.choice(list(scene.stack.workers.values()))], signal.SIGKILL)


def _terminate_worker(scene: Scene) -> None:
    _stop_workers(scene, [scene.random.choice(list(scene.stack.workers.values()))], signal.SIGTERM)


def _kill_all(scene: Scene) -> None:
    _stop_workers(scene, list(scene.stack.workers.values()), signal.SIGKILL)


def _stop_workers(scene: Scene, workers: list[Part], number: signal.Signals) -> None:
    scene.find_job("running")
    scene.pause(0, 1)
    for worker in workers:
        worker.end(number)
    scene.pause(0, 4)
    for worker in workers:
        worker.launch()


def _start_twin(scene: Scene) -> None:
    scene.find_job("running", queues=[DEFAULT])
    _expect_refusal(scene)


def _start_twin_meanwhile(scene: Scene) -> None:
    """The one that is started again on its own machine is the one that goes on."""
    worker = scene.stack.workers[DEFAULT]
    scene.find_job("running", queues=[DEFAULT])
    worker.end(signal.SIGKILL)
    _expect_refusal(scene, after_start=worker.launch)


def _expect_refusal(scene: Scene, *, after_start: Callable[[], None] = lambda: None) -> None:
    """Start a copy of a worker, with its name, on a machine of its own, and expect it to end by itself."""
    twin = scene.stack.make_twin(DEFAULT)
    twin.launch()
    try:
        scene.pause(0, 3)
        after_start()
        wait_until(lambda: twin.has_died, timeout_seconds=REFUSED_SECONDS, what=f"the end of {twin.name}")
    finally:
        twin.end(signal.SIGKILL)
    assert "is in use by a live worker" in twin.log_of_this_start, twin.log_of_this_start[-3000:]


def _kill_api(scene: Scene) -> None:
    scene.load.burst(scene.random.randint(2, 6))
    scene.pause(0, 0.06)
    scene.stack.api.end(signal.SIGKILL)
    scene.pause(0, 1.5)
    scene.stack.api.launch()


def _kill_api_before_publish(scene: Scene) -> None:
    """While Redis does not answer, a request that is committed waits for its message to be sent."""
    scene.stack.redis.signal(signal.SIGSTOP)
    try:
        before = _count_sent(scene)
        scene.load.burst(3)
        wait_until(lambda: _count_sent(scene) > before, timeout_seconds=PATIENCE_SECONDS, what="a recorded job")
        scene.stack.api.end(signal.SIGKILL)
    finally:
        scene.stack.redis.signal(signal.SIGCONT)
    scene.stack.api.launch()


def _count_sent(scene: Scene) -> int:
    """How many jobs clients have made."""
    return sum(job.queue != NOBODY_S for job in scene.sampler.jobs.values())


def _kill_redis(scene: Scene) -> None:
    scene.load.burst(2)
    scene.stack.redis.kill()
    scene.pause(0, 5)
    scene.stack.redis.start()


def _restart_redis(scene: Scene) -> None:
    scene.load.burst(2)
    scene.stack.redis.stop()
    scene.pause(0, 2)
    scene.stack.redis.start()


def _flush_redis(scene: Scene) -> None:
    scene.load.burst(3)
    scene.pause(0, 0.5)
    with scene.stack.redis.client() as client:
        client.flushall()


def _pause_redis(scene: Scene) -> None:
    _freeze_redis(scene, scene.random.uniform(1, 8))


def _pause_redis_long(scene: Scene) -> None:
    _freeze_redis(scene, LONG_PAUSE_SECONDS)


def _freeze_redis(scene: Scene, seconds: float) -> None:
    scene.load.burst(2)
    scene.stack.redis.signal(signal.SIGSTOP)
    try:
        wait(seconds)
    finally:
        scene.stack.redis.signal(signal.SIGCONT)


def _duplicate(scene: Scene) -> None:
    """Send the messages of some jobs again, of ended ones too: a message may be late."""
    scene.load.burst(2)
    scene.pause(0, 1)
    jobs = list(scene.sampler.jobs.values())
    under_way = [job for job in jobs if not job.is_terminal]
    chosen = scene.random.sample(under_way, min(5, len(under_way))) + scene.random.sample(jobs, min(2, len(jobs)))
    queue = CeleryQueue(Settings.load(_env_file=None, redis_url=scene.stack.redis.url))
    for job in chosen:
        for _ in range(scene.random.randint(1, 5)):
            queue.send(_message_of(job))


def _message_of(job: JobRow) -> Job:
    moment = datetime.now(UTC)
    return Job(job.id, "drill", None, job.queue, 4, job.concurrency_key, {}, created_at=moment, queued_at=moment)


def _drop(scene: Scene) -> None:
    """Take messages out of the queues' lists, as fast as they come in."""
    scene.load.burst(4)
    with scene.stack.redis.client() as client:
        for _ in range(scene.random.randint(20, 60)):
            for pattern in ("@*", *(f"{queue}*" for queue in scene.stack.workers)):  # each host has a queue of its own
                for key in client.scan_iter(match=pattern):
                    client.delete(key)
            wait(0.01)


def _mlflow_at_start(scene: Scene) -> None:
    scene.load.burst(3)
    _without_mlflow(scene)


def _mlflow_midway(scene: Scene) -> None:
    scene.find_job("running")
    _without_mlflow(scene)


def _mlflow_at_end(scene: Scene) -> None:
    job = scene.find_job("running")
    sent = scene.request_of(job)
    lines = max(1, sent.lines - 2) if sent else 3

    def is_almost_done() -> bool:
        return scene.sampler.jobs[job.id].is_terminal or scene.records.log(job.id, job.attempt).count(b"\n") >= lines

    wait_until(is_almost_done, timeout_seconds=60, every_seconds=0.1, what="the end of a job")
    scene.pause(0, 0.5)
    _without_mlflow(scene)


def _cancel_behind_mlflow(scene: Scene) -> None:
    """A job whose preparation waits for an answer ends all the same, and its training never begins."""
    scene.load.burst(3)
    try:
        job = _silence_mlflow(scene)
        wait_until(lambda: job.id in scene.load.by_job(), what=f"the answer to the client of {job.id}")
        answer = requests.post(f"{scene.stack.url}/jobs/{job.id}/cancel", timeout=PATIENCE_SECONDS)
        scene.load.by_job()[job.id].cancel_status = answer.status_code
        wait_until(
            lambda: scene.sampler.jobs[job.id].is_terminal,
            timeout_seconds=CANCELLED_SECONDS,
            what=f"the end of {job.id}",
        )
    finally:
        scene.stack.mlflow.signal(signal.SIGCONT)


def _silence_mlflow(scene: Scene) -> JobRow:
    """Stop it where a job is then prepared; not where it would leave all slots to jobs that cannot end."""
    for _ in range(SILENCES):
        scene.stack.mlflow.signal(signal.SIGSTOP)
        with suppress(AssertionError):
            return wait_until(lambda: _find_without_run(scene), timeout_seconds=SILENT_SECONDS)[0]
        scene.stack.mlflow.signal(signal.SIGCONT)
        scene.pause(1, 3)
    raise AssertionError("no job waits for MLflow, however often it is silent")


def _find_without_run(scene: Scene) -> list[JobRow]:
    """The jobs that are being prepared and have no run yet."""
    waiting = {(each.job_id, each.number) for each in scene.records.attempts() if each.run_id is None}
    jobs = scene.sampler.jobs.values()
    return [job for job in jobs if job.state == "starting" and (job.id, job.attempt) in waiting]


def _without_mlflow(scene: Scene) -> None:
    scene.stack.mlflow.kill()
    scene.pause(0, 3)
    scene.stack.mlflow.start()


def _kill_guard(scene: Scene) -> None:
    guard = scene.stack.guard
    assert guard is not None
    scene.find_job("running", queues=[DOCKER])
    guard.end(signal.SIGKILL)
    scene.pause(0, 3)
    guard.launch()


def _locked(lock: Lock, least_seconds: float, most_seconds: float) -> Inject:
    def inject(scene: Scene) -> None:
        scene.load.burst(2)
        with lock(scene.stack.machine):
            scene.pause(least_seconds, most_seconds)

    return inject


@contextmanager
def _lock_sqlite(machine: Machine) -> Iterator[None]:
    connection = sqlite3.connect(machine.database_disk / "jobs.db", timeout=PATIENCE_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


@contextmanager
def _lock_postgresql(machine: Machine) -> Iterator[None]:
    with psycopg.connect(machine.database_url.replace("+psycopg", ""), connect_timeout=10) as connection:
        connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        yield
