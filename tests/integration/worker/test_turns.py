"""Whose turn it is on a real worker: jobs that came later, and are sent at once, do not go first for ever."""

import time
from pathlib import Path

from shared.jobs.model import JobState
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.mlflow_server import started_mlflow_server
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import worker_process
from tests.support.waiting import wait_until

PROJECT = """\
name: tiny
entry_points:
  main: {command: "echo trained"}
  waits: {parameters: {gate: string}, command: "until [ -e {gate} ]; do sleep 0.05; done"}
"""
LATER = 8
MAY_OVERTAKE = 2  # while the message is being sent
RESEND_AFTER_SECONDS = 1


def test_a_job_whose_message_was_lost_waits_for_few_of_those_that_came_later(tmp_path: Path) -> None:
    git_uri = bare_repository(tmp_path / "tiny.git", {"MLproject": PROJECT}).uri
    gate = tmp_path / "gate"
    with (
        running_valkey() as valkey,
        started_mlflow_server(tmp_path) as mlflow,
        worker_process(tmp_path / "one", redis_url=valkey.url, tracking_uri=mlflow.url, SLOTS="1") as worker,
    ):
        first = worker.submit(git_uri=git_uri, entry_point="waits", parameters={"gate": str(gate)})
        wait_until(lambda: worker.in_state(first, JobState.RUNNING), what="a training")
        lost = worker.submit(git_uri=git_uri, send=False)
        later = [worker.submit(git_uri=git_uri) for _ in range(LATER)]
        time.sleep(RESEND_AFTER_SECONDS + 0.5)  # only then is a message taken to be lost
        gate.touch()
        ended = [worker.ended(job) for job in [lost, *later]]

    in_order = [job.id for job in sorted(ended, key=lambda job: str(job.started_at))]
    assert in_order.index(lost.id) <= MAY_OVERTAKE
