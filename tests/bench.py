"""`make bench`: speed and memory as ratios against a baseline measured in the same run, so that machines compare."""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

from shared.jobs.model import NewJob
from shared.scheduling.hosts import Host
from shared.sql import SqlStore, schema
from tests import bench_followers, bench_hostile
from worker.runners.docker.kind import Docker
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec

ROUNDS = 50
IMAGE = "python:3.11-slim"


def main() -> int:
    """Measure all and print one line each: what, how much, the baseline, the ratio."""
    print(f"{'what':<44} {'ours':>10} {'baseline':>10} {'ratio':>6}  baseline is")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _line("import the API, s", _imports("api.app"), _imports("flask"), "import flask")
        _line("memory of the API after import, MB", _memory("api.app"), _memory("flask"), "import flask")
        _line("import the worker, s", _imports("worker.__main__"), _imports("mlflow"), "import mlflow")
        submit, claim = _store(folder)
        insert = _plain_insert(folder)
        _line("record a job (SQLite), ms", submit * 1000, insert * 1000, "one INSERT, synchronous=FULL")
        _line("claim a job (SQLite), ms", claim * 1000, insert * 1000, "one INSERT, synchronous=FULL")
        followed, alone = bench_followers.costs()
        _line("GET a job, its log followed by 50, ms", followed.get_seconds * 1000, alone.get_seconds * 1000, "by none")
        _line("memory of the API then, MB (PSS)", followed.pss_bytes / 1e6, alone.pss_bytes / 1e6, "by none")
        beset, honest = bench_hostile.costs()
        _line("an answer beside hostile clients, p99 ms", beset.p99_seconds * 1000, honest.p99_seconds * 1000, "alone")
        if Docker.find_version(os.environ):
            source = folder / "project"
            source.mkdir()
            _line("an empty attempt in a container, s", _attempt(source), _docker_run(), "docker run --rm")
    return 0


def _line(what: str, ours: float, baseline: float, means: str) -> None:
    print(f"{what:<44} {ours:>10.3f} {baseline:>10.3f} {ours / baseline:>6.2f}  {means}", flush=True)


def _median(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _imports(module: str) -> float:
    command = [sys.executable, "-c", f"import {module}"]
    return _median(lambda: subprocess.run(command, check=True, timeout=120), 5)


def _memory(module: str) -> float:
    code = f"import {module}, sys; print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        size = int(psutil.Process(process.pid).memory_full_info().pss)
        process.communicate(timeout=60)
    return size / 1e6


def _store(folder: Path) -> tuple[float, float]:
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    schema.upgrade(store)
    ids = [str(uuid.uuid4()) for _ in range(ROUNDS)]
    waiting = iter(ids)
    submit = _median(lambda: store.submit(_job(next(waiting))), ROUNDS)
    queued = iter(ids)
    host = Host("bench", slots=ROUNDS, queues={"default"}, runner="docker")
    claim = _median(lambda: store.claim(next(queued), host=host, lease_seconds=30), ROUNDS)
    store.close()
    return submit, claim


def _job(job_id: str) -> NewJob:
    return NewJob(
        id=job_id,
        experiment_name="bench",
        model_name=None,
        queue="default",
        priority=4,
        concurrency_key=job_id,
        request={"experiment_name": "bench", "git_uri": "https://example.com/a.git"},
    )


def _plain_insert(folder: Path) -> float:
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, body TEXT)")
    body = json.dumps({"experiment_name": "bench"})
    seconds = _median(lambda: connection.execute("INSERT INTO jobs VALUES (?, ?)", (str(uuid.uuid4()), body)), ROUNDS)
    connection.close()
    return seconds


def _attempt(source: Path) -> float:
    runner = DockerRunner(os.environ, host="bench")

    def attempt() -> None:
        spec = AttemptSpec(job_id=str(uuid.uuid4()), attempt=1, image=IMAGE, command="true", source=source)
        handle = runner.start_or_attach(spec)
        while runner.poll(handle) is None:
            time.sleep(0.01)
        runner.remove(handle)

    seconds = _median(attempt, 5)
    runner.close()
    return seconds


def _docker_run() -> float:
    return _median(lambda: subprocess.run(["docker", "run", "--rm", IMAGE, "true"], check=True, timeout=60), 5)


if __name__ == "__main__":
    sys.exit(main())
