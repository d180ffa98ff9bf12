"""Two hosts, each a worker with a Docker engine of its own: jobs spread, are bound, one is drained, one is cut off."""

import io
import signal
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from ipaddress import ip_network
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from shared.errors import Code
from shared.jobs.model import Job, JobState
from shared.scheduling.hosts import QueueCode
from tests.acceptance.support.projects import GO, WAIT_FOR_GO, let_go, mlproject, repository
from tests.acceptance.support.two_hosts import HOST_LOST_AFTER_SECONDS, Hosts, Machines
from tests.support.engines import docker_or_skip
from tests.support.network.forwarding import forwarding
from tests.support.network.namespace import network_namespace
from tests.support.servers.docker_engine import own_engine
from tests.support.servers.example_image import build_example_image
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.postgres import PostgresServer, postgres_server
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, on_host
from tests.support.stores import fresh_database
from tests.support.waiting import wait_until

__all__ = ["postgres_server"]


__all__ = ["postgres_server"]
SLOTS = 2
NEVER_LOST_SECONDS = 900  # the new start of a worker must not count as a loss
SETTINGS = {"RUNNER": "docker", "RETRAIN_GPUS": "none", "SLOTS": str(SLOTS)}
BACK_SECONDS = 60
TRAINING = f"""\
import os, sys, time
import mlflow.sklearn
from sklearn.linear_model import SGDClassifier
from mypackage import utility

while not os.path.exists("{GO}"):
    print("training", flush=True)
    time.sleep(0.1)
utility.auto_compare_and_register(
    model=SGDClassifier().fit([[0.0], [1.0]], [0, 1]),
    eval_metric=0.9,
    model_name=sys.argv[1],
    lower=False,
    p_metric="accuracy",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with ExitStack() as stack:
        second = stack.enter_context(closing(docker_or_skip()))
        network = stack.enter_context(network_namespace())
        own = stack.enter_context(own_engine(tmp_path_factory.mktemp("engine")))
        first = stack.enter_context(own.client())
        image = build_example_image()
        own.load_image(image)
        mlflow = MlflowServer(tmp_path_factory.mktemp("mlflow"), known_as=(network.gateway, own.bridge_address))
        stack.callback(mlflow.stop)
        mlflow.start()
        for address in (network.gateway, own.bridge_address, bridge_address(second)):
            stack.enter_context(forwarding(address, mlflow.port))
        yield Machines(own, first, second, network, mlflow, image)


def bridge_address(engine: docker.DockerClient) -> str:
    """Where the containers of the machine's own engine find this machine."""
    bridge = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    return str(bridge.get("Gateway") or next(ip_network(bridge["Subnet"]).hosts()))  # until it has restarted once


@pytest.fixture
def hosts(
    machines: Machines, postgres_server: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Hosts]:
    network, mlflow = machines.network, machines.mlflow
    settings = {**SETTINGS, "HOST_LOST_AFTER_SECONDS": str(getattr(request, "param", HOST_LOST_AFTER_SECONDS))}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    files = {
        "MLproject": mlproject("python train.py {name}", image=machines.image, parameters="{name: string}"),
        "train.py": TRAINING,
    }
    git_uri = repository(tmp_path / "project", files)
    with ExitStack() as stack:
        database_url = stack.enter_context(fresh_database(postgres_server))
        valkey = stack.enter_context(running_valkey())
        stack.enter_context(forwarding(network.gateway, postgres_server.port, valkey.port))
        first = WorkerProcess(
            tmp_path / "first",
            valkey.url.replace("127.0.0.1", network.gateway),
            mlflow.url.replace("127.0.0.1", network.gateway),
            {
                **settings,
                "WORKER_LABELS": "vision",
                "DOCKER_HOST": machines.own.url,
                "CONTAINER_TRACKING_URI": f"http://{machines.own.bridge_address}:{mlflow.port}",
            },
            database_url=database_url.replace("127.0.0.1", network.gateway),
            prefix=network.prefix,
        )
        second = WorkerProcess(tmp_path / "second", valkey.url, mlflow.url, settings, database_url=database_url)
        stack.callback(network.mend)
        for host in (first, second):
            stack.enter_context(on_host(host))
        made = Hosts(machines, first, second, git_uri, f"model-of-{request.node.name}")
        stack.callback(made.remove_containers)
        yield made


def let_go_when_thawed(container: Container) -> None:
    """As let_go, for one that is frozen: it would register its model at once if it went on."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(Path(GO).name))
    assert container.put_archive(str(Path(GO).parent), archive.getvalue())


def status_of(container: Container) -> str:
    container.reload()
    return str(container.status)


def test_a_host_that_is_cut_off_freezes_its_training_and_is_fenced_out_when_it_returns(hosts: Hosts) -> None:
    job, left = hosts.start_training()

    hosts.machines.network.cut()
    cut_at = time.monotonic()
    wait_until(
        lambda: status_of(left) == "paused",
        timeout_seconds=HOST_LOST_AFTER_SECONDS,
        what="a freeze",
    )
    frozen_seconds = time.monotonic() - cut_at
    assert len(hosts.second.store.get(job.id).attempts) == 1

    other = hosts.taken_over(job)
    taken_over_seconds = time.monotonic() - cut_at
    let_go_when_thawed(left)
    let_go(other)
    ended = hosts.second.ended(job)

    hosts.machines.network.mend()
    mended_at = time.monotonic()
    wait_until(
        lambda: not hosts.containers_of_first(),
        timeout_seconds=BACK_SECONDS,
        what="the stale container's end",
    )
    back_seconds = time.monotonic() - mended_at
    wait_until(lambda: "another worker holds the job now" in hosts.first.log, what="a refused write")

    sys.stdout.write(
        f"frozen {frozen_seconds:.1f} s and taken over {taken_over_seconds:.1f} s after the cut, "
        f"container removed {back_seconds:.1f} s after the return\n"
    )
    assert_second_counts(hosts, job, ended)


@pytest.mark.parametrize("hosts", [NEVER_LOST_SECONDS], indirect=True)
def test_jobs_spread_go_where_they_ask_to_and_leave_a_drained_host_that_finishes_what_it_has(
    hosts: Hosts, tmp_path: Path
) -> None:
    waiting = {"MLproject": mlproject(WAIT_FOR_GO, image=hosts.machines.image)}
    git_uri = repository(tmp_path / "waiting", waiting)
    first, second = hosts.first, hosts.second
    for host in (first, second):
        host.start()
    spread = [first.submit(git_uri=git_uri) for _ in range(2 * SLOTS)]
    wait_until(lambda: hosts.trains(*spread), timeout_seconds=60, what="as many trainings as there are slots")
    assert len(hosts.containers_of_first()) == SLOTS

    assert len(first.store.drain(first.host, reason="new disks").running) == SLOTS
    labelled = first.submit(git_uri=git_uri, resources={"host_labels": ["vision", "cpu"]})
    bound = first.submit(git_uri=git_uri, resources={"host": second.host})
    free = first.submit(git_uri=git_uri)
    first.stop()
    first.start()
    wait_until(lambda: hosts.queue_code(labelled) is QueueCode.DRAINED, what="the label that a worker finds out itself")
    assert hosts.queue_code(bound) is QueueCode.SLOTS

    ends = [hosts.ended_when_let_go(job) for job in spread]
    assert sorted(ends) == sorted((JobState.SUCCEEDED, [host.host]) for host in (first, second) for _ in range(SLOTS))
    for job in (bound, free):
        assert hosts.ended_when_let_go(job) == (JobState.SUCCEEDED, [second.host])
    wait_until(lambda: not hosts.containers_of_first(), what="no container on the drained host")
    assert hosts.queue_code(labelled) is QueueCode.DRAINED

    first.store.undrain(first.host)
    assert hosts.ended_when_let_go(labelled) == (JobState.SUCCEEDED, [first.host])


def test_a_training_whose_worker_was_killed_too_is_refused_by_the_gate(hosts: Hosts) -> None:
    job, left = hosts.start_training()

    hosts.machines.network.cut()
    hosts.first.stop(signal.SIGKILL)
    other = hosts.taken_over(job)
    assert status_of(left) == "running"
    let_go(left)
    wait_until(lambda: status_of(left) == "exited", what="the end of the training that nobody supervises")
    assert "RunEnded" in left.logs().decode()
    assert hosts.versions() == []

    let_go(other)
    ended = hosts.second.ended(job)
    hosts.machines.network.mend()
    hosts.first.start()
    wait_until(lambda: not hosts.containers_of_first(), what="no container on the first host")

    assert_second_counts(hosts, job, ended)


def assert_second_counts(hosts: Hosts, job: Job, ended: Job) -> None:
    """The record says what it said before the first host came back: its attempt was lost, the second one counts."""
    [first, second] = ended.attempts
    assert (ended.state, first.host, second.host) == (JobState.SUCCEEDED, hosts.first.host, hosts.second.host)
    assert first.reason is not None
    assert (first.reason.code, second.reason) == (Code.HOST_LOST, None)
    assert hosts.versions() == [("1", second.run_id)]
    wait_until(lambda: hosts.run_statuses(ended) == ["FAILED", "FINISHED"], what="the runs' final status")
    assert hosts.second.store.get(job.id) == ended
    wait_until(lambda: not hosts.containers_of_second(), what="no container on the second host")
