"""Two machines with a worker each, and what their engines, MLflow and the store have of a job."""

from dataclasses import dataclass

import docker
from docker.models.containers import Container
from mlflow.tracking import MlflowClient

from shared.jobs.model import Job, JobState
from shared.scheduling.hosts import QueueCode
from tests.acceptance.support.projects import let_go
from tests.support.network.namespace import NetworkNamespace
from tests.support.servers.docker_engine import OwnEngine
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.stack import HOST_LABEL, remove_container
from tests.support.servers.worker import WorkerProcess
from tests.support.waiting import wait_until

HOST_LOST_AFTER_SECONDS = 8
TAKEN_OVER_SECONDS = HOST_LOST_AFTER_SECONDS + 30


@dataclass(frozen=True)
class Machines:
    """Two engines as two machines, the network of the first one's worker, and an MLflow server that all reach.

    The second engine is this machine's own, which has the image already: copying it takes a while.
    """

    own: OwnEngine
    first: docker.DockerClient
    second: docker.DockerClient
    network: NetworkNamespace
    mlflow: MlflowServer
    image: str


@dataclass(frozen=True)
class Hosts:
    """The two workers; the first one's network can be cut. Both serve one queue."""

    machines: Machines
    first: WorkerProcess
    second: WorkerProcess
    git_uri: str
    model_name: str

    def start_training(self) -> tuple[Job, Container]:
        """A job that trains on the first host; only then does the second one have a worker."""
        self.first.start()
        job = self.first.submit(git_uri=self.git_uri, parameters={"name": self.model_name})
        wait_until(lambda: self.first.output(job), timeout_seconds=60, what="output of the training")
        self.second.start()
        [container] = self.containers_of_first()
        return job, container

    def taken_over(self, job: Job) -> Container:
        """The container of the second attempt, when it trains on the second host."""
        wait_until(
            lambda: self.second.in_state(job, JobState.RUNNING, attempt=2),
            timeout_seconds=TAKEN_OVER_SECONDS,
            what="a second attempt",
        )
        [container] = self.containers_of_second()
        return container

    def trains(self, *jobs: Job) -> bool:
        """Whether all of them do, on whatever host."""
        return all(self.first.in_state(job, JobState.RUNNING) for job in jobs)

    def ended_when_let_go(self, job: Job) -> tuple[JobState, list[str]]:
        """How a job ends that waits in its training for that, and the hosts of its attempts."""
        wait_until(lambda: self.trains(job), timeout_seconds=60, what="training")
        attempt = self.first.store.get(job.id).attempt
        engine = self.machines.first if attempt.host == self.first.host else self.machines.second
        let_go(engine.containers.get(attempt.container or ""))
        ended = self.first.ended(job)
        return ended.state, [each.host for each in ended.attempts]

    def queue_code(self, job: Job) -> QueueCode | None:
        """What the job waits for."""
        place = self.first.store.find_queue_position(job.id)
        return place.code if place else None

    def containers_of_first(self) -> list[Container]:
        """What the first host's engine has of it."""
        return containers_of(self.machines.first, self.first)

    def containers_of_second(self) -> list[Container]:
        """What the second host's engine has of it."""
        return containers_of(self.machines.second, self.second)

    def remove_containers(self) -> None:
        """Remove what a failed test has left; the first host's engine goes anyway."""
        for container in self.containers_of_second():
            remove_container(container)

    def versions(self) -> list[tuple[str, str | None]]:
        """The registered versions, and the runs that they are of."""
        found = MlflowClient(self.machines.mlflow.url).search_model_versions(f"name='{self.model_name}'")
        return [(str(each.version), each.run_id) for each in found]

    def run_statuses(self, job: Job) -> list[str]:
        """How the runs of the job's attempts ended."""
        client = MlflowClient(self.machines.mlflow.url)
        return [str(client.get_run(each.run_id).info.status) for each in job.attempts if each.run_id]


def containers_of(engine: docker.DockerClient, worker: WorkerProcess) -> list[Container]:
    found: list[Container] = engine.containers.list(
        all=True, ignore_removed=True, filters={"label": f"{HOST_LABEL}={worker.host}"}
    )
    return found
