"""A crowd of jobs on two workers: no limit is ever exceeded, no GPU shared, and none is taken in the end.

Three witnesses: every training takes locks that a second one would find taken; a sampler reads the store and the
processes of the trainings twenty times a second; and what the store says of waiting jobs is checked afterwards.
"""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from shared.jobs.model import Job, JobState
from shared.requests.retrain_request import RetrainRequest
from shared.scheduling.hosts import QueueCode
from tests.acceptance.support.limits_sampler import Sampler
from tests.acceptance.support.limits_truth import Truth
from tests.acceptance.support.projects import repository
from tests.support.jobs import new_job
from tests.support.length import rounds
from tests.support.servers.mlflow_server import running_mlflow_server
from tests.support.servers.postgres import postgres_server
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, on_host
from tests.support.stores import fresh_database
from tests.support.waiting import wait_until

__all__ = ["postgres_server"]

JOBS = rounds(100, long=200)
SHARED_KEY, SHARING = "model:shared", JOBS * 3 // 10
LIMIT_TOTAL = 3
GPUS_OF_EACH = "a,b"
ALL_ENDED_SECONDS = 150
SECONDS = ("0.1", "0.2", "0.3")
SETTINGS = {
    "SLOTS": "3",
    "LIMIT_TOTAL": str(LIMIT_TOTAL),
    "RETRAIN_GPUS": GPUS_OF_EACH,
    "GPU_RESERVE_AFTER_SECONDS": "20",
    "LOG_LEVEL": "WARNING",
}
PROJECT = """\
name: limited
entry_points:
  main:
    parameters: {locks: string, key: string, gpus: int, seconds: float}
    command: "sh train.sh {locks} {key} {gpus} {seconds}"
"""
# Folders, because making one is atomic: of two trainings with the same device, key or job, one fails.
TRAINING = f"""\
set -eu
locks=$1 key=$2 gpus=$3 seconds=$4
host=${{PWD%/*/code}} && host=${{host##*/}}
taken= devices=0
trap 'rmdir $taken' EXIT  # one that fails leaves nothing that lets others fail
take() {{ mkdir "$locks/$1" || exit 9; taken="$locks/$1 $taken"; }}
for device in $(echo "${{CUDA_VISIBLE_DEVICES:-}}" | tr , ' '); do
    [ "$device" != -1 ] || continue
    take "device-$host-$device"
    devices=$((devices + 1))
done
[ "$devices" = "$gpus" ] || {{ echo "$devices devices, not $gpus: $CUDA_VISIBLE_DEVICES"; exit 8; }}
take "key-$key"
take "job-$RETRAIN_JOB_ID"
[ "$(ls "$locks" | grep -c ^job-)" -le {LIMIT_TOTAL} ] || {{ echo "too many:" && ls "$locks"; exit 7; }}
sleep "$seconds"
"""


@pytest.fixture
def hosts(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[WorkerProcess]]:
    """Two hosts without workers yet, on one store, one broker and one tracking server."""
    (tmp_path / "mlflow").mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(request.getfixturevalue("postgres_server")))
        valkey = stack.enter_context(running_valkey())
        mlflow_url = stack.enter_context(running_mlflow_server(tmp_path / "mlflow"))
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            worker = WorkerProcess(tmp_path / name, valkey.url, mlflow_url, SETTINGS, database_url=url)
            made.append(stack.enter_context(on_host(worker)))
        yield made


def submit_all(host: WorkerProcess, git_uri: str, locks: Path) -> list[Job]:
    """Jobs of all kinds in a fixed mixture: of one key and of their own, with no, one and two GPUs."""
    chance = random.Random(7)  # noqa: S311 - the same mixture every time
    keys = [SHARED_KEY] * SHARING + [f"model:{number}" for number in range(JOBS - SHARING)]
    chance.shuffle(keys)
    jobs = []
    for key in keys:
        gpus = chance.choice((0, 0, 1, 1, 2))
        parameters = {"locks": str(locks), "key": key.replace(":", "-"), "seconds": chance.choice(SECONDS)}
        body = RetrainRequest(
            experiment_name="limited",
            git_uri=git_uri,
            parameters={**parameters, "gpus": str(gpus)},
            resources={"gpus": gpus},
        )
        job = new_job(request=body.model_dump(mode="json"), concurrency_key=key, gpus=gpus)
        jobs.append(host.store.submit(job).job)
    for job in jobs:
        host.queue.send(job)
    return jobs


def has_cleaned_up(host: WorkerProcess) -> bool:
    return host.leftovers() == []


def test_a_crowd_of_jobs_on_two_workers_never_exceed_a_limit(hosts: list[WorkerProcess], tmp_path: Path) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": PROJECT, "train.sh": TRAINING})
    locks = tmp_path / "locks"
    locks.mkdir()
    store = hosts[0].store
    sampler = Sampler(store, [host.folder for host in hosts])
    jobs = submit_all(hosts[0], git_uri, locks)
    for host in hosts:
        host.launch()
    with sampler.sampling([job.id for job in jobs]):
        wait_until(
            lambda: all(store.get_version(job.id)[1].is_terminal for job in jobs),
            timeout_seconds=ALL_ENDED_SECONDS,
            every_seconds=1,
            what="the end of all jobs",
        )

    ended = {job.id: store.get(job.id) for job in jobs}
    failed = [job for job in ended.values() if job.state is not JobState.SUCCEEDED]
    first = sorted(failed, key=lambda job: str(job.ended_at))[:3]
    assert not failed, [(job.attempts, hosts[0].output(job)) for job in first]
    assert {len(job.attempts) for job in ended.values()} == {1}
    assert {len(job.attempt.gpu_ids) == job.gpus for job in ended.values()} == {True}

    codes = dict(Counter(place.said.code.value for place in sampler.places))
    sys.stdout.write(f"{len(sampler.in_store)} samples; places of waiting jobs: {codes}\n")
    assert sampler.excesses(limit_total=LIMIT_TOTAL) == []
    assert sampler.most_at_once == LIMIT_TOTAL
    assert sampler.devices_seen == {(host.host, gpu) for host in hosts for gpu in GPUS_OF_EACH.split(",")}
    assert {QueueCode.KEY_LIMIT, QueueCode.TOTAL_LIMIT} <= {place.said.code for place in sampler.places}
    truth = Truth(list(ended.values()), limit_total=LIMIT_TOTAL)
    assert [place for place in sampler.places if not truth.allows(place)] == []

    assert sampler.held_now() == []
    assert list(locks.iterdir()) == []
    for host in hosts:
        wait_until(partial(has_cleaned_up, host), timeout_seconds=10, what="nothing left behind")
