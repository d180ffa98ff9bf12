"""deploy/docker-compose.yml as an operator uses it: built, up, trained with, looked into, upgraded in mid-training."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from shared.secrets.keys import keys_in
from tests.acceptance.support.checkout import ROOT, fresh_clone
from tests.acceptance.support.compose_stack import (
    AZURITE,
    LIST_BLOBS,
    addresses_of,
    healthcheck,
    iptables,
    kept,
    named_in,
    private_machine,
    repository,
    training_that_waits,
)
from tests.acceptance.support.projects import let_go
from tests.support.alerting.discord import DiscordServer
from tests.support.engines import docker_or_skip
from tests.support.network.forwarding import forwarding
from tests.support.network.guard_probe import answered_at, attacks, not_refused
from tests.support.network.namespace import NetworkNamespace
from tests.support.network.reaching import reached
from tests.support.servers.compose import BUILT, Compose, compose_stack
from tests.support.servers.example_image import build_example_image
from tests.support.servers.git_server import GitServer
from tests.support.waiting import wait_until
from worker.runners.docker.networks import bridge_address

pytestmark = pytest.mark.timeout(900)  # the images' first build downloads all that they are made of

MEGABYTE = 10**6
LARGEST = {"api": 150 * MEGABYTE, "worker": 650 * MEGABYTE}  # the worker: 160 MB scipy and numpy, 96 matplotlib
BASE = "python:3.11-slim"
PLANTED = "planted-hunter2"
ONE_SHOT = {"migrate", "azurite-container"}
GUARD, PEOPLES_PORT = ("mlflow-guard", 5008), ("mlflow", 5007)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="module")
def host_address(engine: docker.DockerClient) -> str:
    """Where containers reach what the tests serve."""
    address = bridge_address(os.environ)
    assert address
    return address


@pytest.fixture(scope="module")
def discord() -> Iterator[DiscordServer]:
    server = DiscordServer(clock=time.monotonic)
    yield server
    server.close()


@pytest.fixture(scope="module")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[NetworkNamespace]:
    with private_machine() as machine:
        yield machine


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory,
    host_address: str,
    discord: DiscordServer,
    git_server: GitServer,
    private: NetworkNamespace,
) -> Iterator[Compose]:
    """The images, from a clone in which secrets lie where an operator has them."""
    folder = tmp_path_factory.mktemp("compose")
    clone = fresh_clone(folder / "automated-training")
    (clone / "deploy/secrets").mkdir()
    for name in ("deploy/.env", "deploy/secrets/redis_password", ".env"):
        (clone / name).write_text(PLANTED)
    settings = {**AZURITE, "GIT_SCHEMES": "https,ssh,http", "GIT_HOSTS": host_address, "SWEEP_SECONDS": "1"}
    settings["TRAINING_ALLOWED_NETWORKS"] = f"{named_in(private)}/32"
    webhook = discord.url.replace("127.0.0.1", host_address)
    with (
        forwarding(host_address, git_server.port, int(discord.url.split(":")[2].split("/")[0])),
        compose_stack(clone, folder / "stack", settings, discord_webhook_url=webhook) as stack,
    ):
        yield stack


@pytest.fixture(scope="module")
def stack(built: Compose) -> Compose:
    """The stack, up and well."""
    began = time.monotonic()
    built.run("up", "--detach", "--wait")
    sys.stdout.write(f"docker compose up --wait: {time.monotonic() - began:.0f} s\n")
    return built


def test_the_file_is_one_that_compose_takes_without_a_word_with_every_profile(built: Compose) -> None:
    for extra in ([], ["--file", str(built.checkout / "deploy/docker-compose.socket-proxy.yml")]):
        done = built.run(*extra, "--profile", "azurite", "--profile", "monitoring", "config", "--quiet")
        assert done.stdout + done.stderr == ""


def test_the_images_are_small_and_hold_no_secret(built: Compose, engine: docker.DockerClient) -> None:
    base = engine.images.get(BASE).attrs["Size"]
    sizes = {name: engine.images.get(f"{built.name}-{name}").attrs["Size"] - base for name in BUILT}
    sys.stdout.write(f"on top of {BASE}: { {name: f'{size / MEGABYTE:.0f} MB' for name, size in sizes.items()} }\n")
    assert [name for name, most in LARGEST.items() if sizes[name] > most] == []
    for name in BUILT:
        image = f"{built.name}-{name}"
        assert PLANTED not in json.dumps(engine.images.get(image).history())
        look = ["sh", "-c", f"grep -rlF {PLANTED} /app /data /etc /home /opt /root /tmp; ls -A /app; id -u"]
        said = engine.containers.run(image, look, remove=True, user="0").decode().split()
        assert set(said) <= {"api", "deploy", "mypackage", "pyproject.toml", "shared", "worker", "0"}
        assert engine.images.get(image).attrs["Config"]["User"] == ("root" if name == "firewall" else "retrain")


def test_the_api_does_not_start_without_a_token(built: Compose) -> None:
    no_tokens = ("run", "--rm", "--no-deps", "--env", "API_TOKENS_FILE=", "--env", "DATABASE_URL_FILE=", "api")
    of_no_one = "python -m shared.sql.schema && exec python -m api"  # a token may be in the store, so it is asked
    done = built.run(*no_tokens, "sh", "-c", of_no_one, check=False)
    assert done.returncode == 1
    assert "API_TOKENS is empty" in done.stderr + done.stdout


def test_everything_is_healthy_and_only_the_api_and_mlflow_are_open_to_others(stack: Compose) -> None:
    services = stack.services()
    assert {name for name, each in services.items() if each["Health"] == "healthy"} == {*services} - ONE_SHOT
    assert {services[name]["ExitCode"] for name in ONE_SHOT} == {0}
    published = {
        (name, each["URL"], each["PublishedPort"])
        for name, service in services.items()
        for each in service["Publishers"] or []
        if each["PublishedPort"] and ":" not in each["URL"]
    }
    flower = ("flower", "127.0.0.1", stack.flower_port)
    assert published == {("api", "0.0.0.0", stack.api_port), ("mlflow", "0.0.0.0", stack.mlflow_port), flower}
    assert requests.get(f"{stack.api_url}/jobs", timeout=10).status_code == 401
    assert requests.get(f"http://127.0.0.1:{stack.flower_port}/workers", timeout=10).status_code == 401


def test_no_secret_shows_in_what_docker_tells_of_the_containers(stack: Compose, engine: docker.DockerClient) -> None:
    secrets = {path.name: text for path in stack.secret_files() if (text := path.read_text())}
    for service in stack.services().values():
        container = engine.containers.get(service["Name"])
        shown = json.dumps([container.attrs, container.top() if container.status == "running" else None])
        assert [name for name, value in secrets.items() if value in shown] == []
        assert container.attrs["HostConfig"]["ReadonlyRootfs"]


def test_no_service_has_a_role_of_postgresql_that_may_do_everything(stack: Compose) -> None:
    assert stack.sql("retrain", "SELECT rolname FROM pg_roles WHERE rolsuper") == "postgres"
    owners = "SELECT datname || ' ' || pg_get_userbyid(datdba) FROM pg_database WHERE datname IN ('retrain', 'mlflow')"
    assert sorted(stack.sql("retrain", owners).splitlines()) == ["mlflow mlflow", "retrain retrain"]
    for name, other in (("retrain", "mlflow"), ("mlflow", "retrain")):
        psql = ("exec", "-T", "postgres", "psql", "--username", name, "--dbname", other, "--command", "")
        assert "permission denied" in stack.run(*psql, check=False).stderr


def test_it_retrains_with_its_records_on_postgresql_its_artifacts_on_blobs_and_alerts_on_discord(
    stack: Compose, git_server: GitServer, host_address: str, discord: DiscordServer
) -> None:
    build_example_image()
    example = ROOT / "examples/sklearn-dummy"
    files = {name: (example / name).read_text() for name in ("MLproject", "train.py")}
    uri = repository(git_server, host_address, "digits", files)
    parameters = {"epochs": 2}
    body = {"experiment_name": "digits", "git_uri": uri, "model_name": "digits", "parameters": parameters}
    job = stack.post("/retrain", body)
    ended = stack.wait(job)
    assert ended["state"] == "succeeded", (ended["reason"], stack.get(f"/jobs/{job['id']}/logs").text)
    assert ended["promotion"]["promoted"] is True

    run_id = ended["mlflow"]["run_id"]
    assert f"{job['id']}|succeeded" in stack.sql("retrain", "SELECT id, state FROM jobs").splitlines()
    assert f"{run_id}|FINISHED" in stack.sql("mlflow", "SELECT run_uuid, status FROM runs").splitlines()
    blobs = stack.python("mlflow", LIST_BLOBS).splitlines()
    assert [each for each in blobs if each.endswith(f"{run_id}/artifacts/retrain/attempt-1.log")]
    assert [each for each in blobs if each.endswith("/artifacts/MLmodel")]
    wait_until(lambda: len(discord.messages) >= 2, what="Discord's message of the success")
    assert "digits" in json.dumps(discord.messages[-1])


def test_the_key_is_rotated_while_everything_runs(stack: Compose) -> None:
    files = [stack.secrets / name for name in ("secret_key", "tracking_guard_key")]
    before = [keys_in(each.read_text()) for each in files]
    running = {name: each["ID"] for name, each in stack.services().items()}
    assert "The old key is dropped." in stack.make("rotate-key")
    after = [keys_in(each.read_text()) for each in files]
    assert [len(each) for each in after] == [1, 1]
    assert not {*before[0], *before[1]} & {*after[0], *after[1]}
    assert {name: each["ID"] for name, each in stack.services().items()} == running
    digits = stack.get("/jobs?model=digits&state=succeeded").json()["jobs"][0]
    assert stack.wait(stack.post(f"/jobs/{digits['id']}/retry", {}))["state"] == "succeeded"  # by tokens of the new key


def test_training_reaches_mlflow_by_the_guard_and_nothing_else_of_the_stack(
    stack: Compose, engine: docker.DockerClient, git_server: GitServer, host_address: str
) -> None:
    job, container = training_that_waits(stack, git_server, host_address, "curious")
    assert reached(container, [*addresses_of(stack, engine), PEOPLES_PORT, GUARD]) == [GUARD]
    assert not_refused(container, attacks("/data/planted")) == []  # what stands there is the guard
    assert stack.python("mlflow", "import os; print(os.path.exists('/data/planted'), os.listdir('/tmp'))") == "False []"
    _, said = container.exec_run(["sh", "-c", "ls /var/run/docker.sock /run/docker.sock; env"])
    assert b"docker.sock'" in said
    assert b"No such file" in said
    assert [path.name for path in stack.secret_files() if (path.read_bytes() or b"\0") in said] == []
    let_go(container)
    assert stack.wait(job)["state"] == "succeeded"


def test_training_reaches_no_other_training_and_of_private_networks_what_is_named(
    stack: Compose, git_server: GitServer, host_address: str, private: NetworkNamespace
) -> None:
    (first, one), (second, other) = (
        training_that_waits(stack, git_server, host_address, name) for name in ("one", "two")
    )
    other.exec_run(["python3", "-m", "http.server", "5007"], detach=True)
    (network,) = other.attrs["NetworkSettings"]["Networks"].values()
    there = (network["IPAddress"], 5007)
    wait_until(lambda: reached(other, [there]) == [there], what="the other training's server")
    refused = [there, (private.address, 80), ("169.254.169.254", 80), ("192.168.77.1", 80)]
    allowed = [GUARD, (named_in(private), 80)]
    assert reached(one, [*allowed, *refused]) == allowed
    for container in (one, other):
        let_go(container)
    assert [stack.wait(job)["state"] for job in (first, second)] == ["succeeded", "succeeded"]


def test_while_the_firewall_is_away_what_trains_goes_on_and_nothing_new_starts(
    stack: Compose, git_server: GitServer, host_address: str, private: NetworkNamespace, engine: docker.DockerClient
) -> None:
    job, container = training_that_waits(stack, git_server, host_address, "unguarded")
    stack.run("stop", "firewall")
    iptables(stack, engine, "--flush", f"RETRAIN-{stack.name}")
    wait_until(lambda: stack.get("/workers").json()["workers"][0]["closed_because"] == "NO_FIREWALL", what="its end")
    iptables(
        stack, engine, "--append", f"RETRAIN-{stack.name}", "--jump", "ACCEPT"
    )  # even Docker's rules are passed by
    assert answered_at(container, "http://mlflow:5007") == 401
    later = stack.post("/retrain", {"experiment_name": "later", "git_uri": job["request"]["git_uri"]})
    wait_until(lambda: stack.get(f"/jobs/{later['id']}").json()["queue"]["code"] == "NO_FIREWALL", what="the reason")
    let_go(container)
    assert stack.wait(job)["state"] == "succeeded"

    stack.run("start", "firewall")
    assert stack.wait(later, "running")["state"] == "running"
    (container,) = stack.training()
    assert reached(container, [(private.address, 80), GUARD]) == [GUARD]
    let_go(container)
    assert stack.wait(later)["state"] == "succeeded"


def test_a_new_image_of_the_worker_takes_over_what_trains(
    stack: Compose, engine: docker.DockerClient, git_server: GitServer, host_address: str, tmp_path: Path
) -> None:
    job, container = training_that_waits(stack, git_server, host_address, "upgraded")
    before = stack.services()["worker"]["ID"]
    image = f"{stack.name}-worker:latest"
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nLABEL release=next\n")
    engine.images.build(path=str(tmp_path), tag=image)
    began = time.monotonic()
    stack.run("up", "--detach", "--wait")
    sys.stdout.write(f"docker compose up --wait with a new worker: {time.monotonic() - began:.0f} s\n")
    assert stack.services()["worker"]["ID"] != before

    assert [(each.id, each.status) for each in stack.training()] == [(container.id, "running")]
    let_go(container)
    ended = stack.wait(job)
    assert (ended["state"], [each["container"] for each in ended["attempts"]]) == ("succeeded", [container.id])


def test_health_checks_tell_of_what_a_service_cannot_do_without(stack: Compose) -> None:
    checks = {name: healthcheck(stack, name) for name in ("api", "mlflow")}
    assert [stack.run("exec", "-T", name, *check).returncode for name, check in checks.items()] == [0, 0]
    stack.run("stop", "postgres")
    assert {stack.run("exec", "-T", name, *check, check=False).returncode for name, check in checks.items()} == {1}
    stack.run("up", "--detach", "--wait")


def test_what_was_backed_up_is_there_again_after_all_volumes_are_destroyed(stack: Compose, tmp_path: Path) -> None:
    before = kept(stack)
    assert before.models
    assert any(path.endswith("/MLmodel") and b"sklearn" in content for path, content in before.artifacts.items())
    began = time.monotonic()
    stack.make("backup", f"FOLDER={tmp_path / 'backup'}")
    saved = time.monotonic()
    assert "saved_at" in stack.run("exec", "-T", "worker", "cat", "/data/last-backup.json").stdout
    assert (tmp_path / "backup/SHA256SUMS").read_text().count("\n") == 4
    stack.run("down", "--volumes")
    stack.make("restore", f"FOLDER={tmp_path / 'backup'}")
    sys.stdout.write(f"backup: {saved - began:.0f} s, down and restore: {time.monotonic() - saved:.0f} s\n")
    assert kept(stack) == before
    digits = next(job_id for job_id, (_, log) in before.jobs.items() if "promoted" in log)
    assert stack.wait(stack.post(f"/jobs/{digits}/retry", {}))["state"] == "succeeded"
