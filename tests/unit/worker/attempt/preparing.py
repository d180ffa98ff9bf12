"""A worker whose trainings see what they see in containers, and the start of an attempt."""

from typing import Any

from shared.jobs.records import Claim
from tests.fakes.worker import FakeWorker
from tests.support.jobs import claim
from worker.credentials.keys import Keys
from worker.runners.docker.inside import in_containers
from worker.runners.seam import AttemptSpec, Inside

PROJECT = """\
name: iris
docker_env:
  image: iris:1
  environment: [["SEED", "7"], "REGION"]
entry_points:
  main:
    parameters:
      experiment_name: string
      alpha: {type: float, default: 0.5}
    command: "python train.py {alpha} {experiment_name}"
"""


class DockerWorker(FakeWorker):
    """A worker whose trainings see what they see in containers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runner.inside = in_containers(self.settings)
        self.source.project = PROJECT


def train_as(kind: str, worker: FakeWorker) -> None:
    """Let trainings see what a runner of that kind shows them."""
    has_home = "HOME" in worker.preparation.host_environment
    worker.runner.inside = in_containers(worker.settings) if kind == "docker" else Inside(has_home=has_home)


def started(worker: FakeWorker, secrets: Keys | None = None, **request: Any) -> tuple[Claim, AttemptSpec]:
    """Claim a job and start its attempt."""
    taken = claim(worker.store, worker.submit(**request))
    worker.preparation.start(taken, secrets or Keys())
    return taken, worker.host.started[-1]
