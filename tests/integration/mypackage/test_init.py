"""What `retrain init` makes of a folder is trained as it is: the service needs nothing more."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.retrain_command import git
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import CHECKOUT, worker_process

TRAIN = """\
import argparse
import mlflow
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.5)
parser.add_argument("--model_name")
args = parser.parse_args()
mlflow.log_metric("rate", args.learning_rate)
print("trained", args.model_name)
"""


def test_a_project_that_init_made_is_accepted_and_trained(tmp_path: Path, mlflow_url: str) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "mypackage.cli", "init"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, check=True)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "First")
    with (
        running_valkey() as valkey,
        worker_process(tmp_path / "worker", redis_url=valkey.url, tracking_uri=mlflow_url) as worker,
    ):
        job = worker.submit(git_uri=folder.as_uri(), commit_hash="HEAD", parameters={"learning_rate": 0.25})
        ended = worker.ended(job)
    assert ended.state == "succeeded", ended.reason
    assert "trained my project" in worker.output(ended)
    assert ended.result
    assert ended.result["metrics"] == {"rate": 0.25}
