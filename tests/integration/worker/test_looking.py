"""A wrong request is told while its job waits: a worker looks at it beside the training in its only slot."""

from pathlib import Path

from shared.errors import Code
from shared.jobs.model import JobState
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import worker_process
from tests.support.waiting import wait_until

PROJECT = """\
name: tiny
entry_points:
  main: {parameters: {alpha: float}, command: "echo {alpha}"}
  waits: {parameters: {gate: string}, command: "until [ -e {gate} ]; do sleep 0.05; done"}
"""


def test_a_missing_parameter_is_told_while_the_only_slot_is_taken(tmp_path: Path, mlflow_url: str) -> None:
    uri = bare_repository(tmp_path / "tiny.git", {"MLproject": PROJECT}).uri
    gate, folder = tmp_path / "gate", tmp_path / "worker"
    with (
        running_valkey() as valkey,
        worker_process(folder, redis_url=valkey.url, tracking_uri=mlflow_url, SLOTS="1") as worker,
    ):
        trains = worker.submit(git_uri=uri, entry_point="waits", parameters={"gate": str(gate)})
        wait_until(lambda: worker.in_state(trains, JobState.RUNNING), what="a training")
        wrong, right = worker.submit(git_uri=uri), worker.submit(git_uri=uri, parameters={"alpha": 1})
        told = worker.ended(wrong)
        assert worker.in_state(trains, JobState.RUNNING)
        gate.touch()
        assert worker.ended(right).state is JobState.SUCCEEDED
        assert told.reason
        assert (told.reason.code, told.attempts) == (Code.INVALID_PARAMETER, ())
        assert "while the job waited" in str(worker.result(wrong).result)
