"""The doctor names each misconfiguration of real services, says what to do, and finds none where all is well."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from shared.errors import HostNameTaken
from shared.scheduling.hosts import Machine
from shared.settings import Settings
from shared.sql import SqlStore
from tests.support.discord import DiscordServer
from tests.support.engines import docker_or_skip, require
from tests.support.jobs import a_host
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.network.devices import require_root
from tests.support.network.forwarding import forwarding
from tests.support.network.ports import free_port
from tests.support.servers.docker_engine import own_engine
from tests.support.servers.git_server import GitServer
from tests.support.servers.mlflow_server import MlflowServer, started_mlflow_server
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.waiting import wait_until
from worker.doctor.__main__ import findings_of
from worker.doctor.alert_channels import check_alert_channels
from worker.doctor.database import check_database
from worker.doctor.git_hosts import check_git, refusal
from worker.doctor.own_settings import as_make_up_has_it, check_settings
from worker.doctor.redis_server import check_redis
from worker.doctor.tracking_server import check_tracking
from worker.findings.finding import Finding, State
from worker.host.machine import this_machine
from worker.runners.docker.checks.engine_set_up import check_docker
from worker.runners.docker.checks.trial_containers import LABEL
from worker.runners.docker.networks import bridge_address

ROOT = Path(__file__).parents[3]
IMAGE = "python:3.11-slim"
NOBODY = "127.0.0.1:1"
MOST_SECONDS = 15  # what it may take when everything is away, with its start

MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> MakeSettings:
    def make(**fields: object) -> Settings:
        return Settings.load(_env_file=None, **{"data_dir": tmp_path, "disk_low_bytes": 1, **fields})

    return make


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server of this module's own: a test breaks its storage."""
    with started_mlflow_server(tmp_path_factory.mktemp("doctor-mlflow")) as server:
        yield server


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def discord() -> Iterator[DiscordServer]:
    server = DiscordServer(clock=time.monotonic)
    yield server
    server.close()


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    require(bool(client.api.images(IMAGE)), f"the image {IMAGE}")
    yield client
    client.close()


@pytest.fixture
def bridge(engine: docker.DockerClient) -> str:
    """This machine's address as containers have it."""
    assert engine
    address = bridge_address(os.environ)
    require(address is not None, "Docker's bridge")
    return str(address)


def by_subject(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {each.subject: each for each in findings}


def assert_named(findings: Iterable[Finding], subject: str, *, seen: str, advice: str, **more: State) -> None:
    """One is named, with what to do, and nothing else is wrong."""
    state = more.get("state", State.FAILURE)
    wrong = [each for each in findings if each.state in (State.WARNING, State.FAILURE)]
    assert [(each.subject, each.state) for each in wrong] == [(subject, state)], wrong
    assert seen in wrong[0].seen
    assert advice in wrong[0].advice


def test_a_service_that_is_well_has_no_failure(
    settings: MakeSettings,
    mlflow: MlflowServer,
    valkey: Valkey,
    postgresql_url: str,
    discord: DiscordServer,
    bridge: str,
    engine: docker.DockerClient,
) -> None:
    well = settings(
        database_url=postgresql_url,
        redis_url=valkey.url,
        mlflow_tracking_uri=mlflow.url,
        discord_webhook_url=discord.url,
        alert_webhooks=f"team-a=discord:{discord.url},ci=json:{mlflow.url}",
    )
    with forwarding(bridge, mlflow.port):
        found = by_subject(findings_of(well, os.environ))
    found.pop("Docker live-restore")  # of whoever's engine this is
    states = {subject: each.state for subject, each in found.items() if each.state is not State.OK}
    assert states == {"git hosts": State.SKIPPED, "training firewall": State.SKIPPED}
    expected = {"Docker", "training network", "MLflow from containers", "GPUs", "Redis", "database", "database schema"}
    expected |= {"MLflow", "MLflow artifacts", "Redis' clock", "database clock", "MLflow's clock", "Docker's clock"}
    assert {*expected, "alerts to discord", "alerts to team-a", "alerts to ci", "git", "settings"} <= set(found)
    text = (ROOT / "docs/operate/doctor.md").read_text()
    assert [each for each in found if not each.startswith("alerts to") and f"| {each} |" not in text] == []
    assert discord.messages == []
    assert list((mlflow.folder / "artifacts").glob("retrain-doctor*")) == []
    wait_until(lambda: not engine.api.containers(all=True, filters={"label": LABEL}), what="no container left")


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes every connection, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("peer", ["nobody", "somebody who says nothing"])
def test_all_that_is_wrong_is_named_at_once_and_soon_without_a_secret(peer: str, silent: str, tmp_path: Path) -> None:
    there = NOBODY if peer == "nobody" else silent
    wrong = {
        "DATA_DIR": str(tmp_path / "data"),
        "DISK_LOW_BYTES": str(10**18),
        "SECRET_KEY": "hunter2-key",
        "DOCKER_HOST": f"tcp://{there}",
        "REDIS_URL": f"redis://:hunter2-redis@{there}/0",
        "DATABASE_URL": f"postgresql://retrain:hunter2-database@{there}/jobs",
        "MLFLOW_TRACKING_URI": f"http://{there}",
        "GIT_HOSTS": "git.example",
        "GIT_SCHEMES": "http,https",
        "all_proxy": f"http://{there}",
        "no_proxy": "127.0.0.1",
        "DISCORD_WEBHOOK_URL": f"http://{there}/api/webhooks/1/hunter2-discord",
        "ALERT_WEBHOOKS": f"ci=json:http://{there}/hunter2-ci,team-a=discord:http://{there}/hunter2-team",
    }
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "worker.doctor", "--json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - before < MOST_SECONDS
    assert (done.returncode, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    failed = [each for each in said["findings"] if each["state"] == "failure"]
    assert [each["subject"] for each in failed] == [
        "settings",
        "disk of DATA_DIR",
        "Docker",
        "Redis",
        "database",
        "MLflow",
        "git host git.example",
        "alerts to team-a",
        "alerts to discord",
        "alerts to ci",
    ]
    assert all(each["advice"] for each in failed)
    assert [each["seen"] for each in failed if "within 12 s" in each["seen"]] == []
    assert said["ok"] is False
    assert "hunter2" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "subject", "seen"),
    [
        ("appendonly", "no", "Redis appendonly", "no"),
        ("maxmemory-policy", "allkeys-lru", "Redis eviction", "allkeys-lru"),
        ("requirepass", "hunter2", "Redis", "refuses our password"),
    ],
)
def test_a_redis_that_is_set_up_wrongly_is_named(
    valkey: Valkey, settings: MakeSettings, name: str, value: str, subject: str, seen: str
) -> None:
    with valkey.client() as client:
        client.config_set(name, value)
    advice = "REDIS_URL" if name == "requirepass" else f"{name} {value}".split()[0]
    assert_named(check_redis(settings(redis_url=valkey.url)), subject, seen=seen, advice=advice)


@pytest.mark.parametrize(
    ("name", "value", "subject", "right"),
    [
        ("appendfsync", "everysec", "Redis appendfsync", "always"),
        ("maxmemory-policy", "volatile-lru", "Redis eviction", "noeviction"),
    ],
)
def test_a_redis_that_may_lose_a_little_is_warned_of(
    valkey: Valkey, settings: MakeSettings, name: str, value: str, subject: str, right: str
) -> None:
    with valkey.client() as client:
        client.config_set(name, value)
    found = check_redis(settings(redis_url=valkey.url))
    assert_named(found, subject, seen=value, advice=f"CONFIG SET {name} {right}", state=State.WARNING)


def test_a_replica_that_takes_no_writes_is_named(valkey: Valkey, settings: MakeSettings) -> None:
    with valkey.client() as client:
        client.replicaof("127.0.0.1", "1")
    assert_named(check_redis(settings(redis_url=valkey.url)), "Redis writes", seen="read only", advice="primary")


def test_the_password_of_make_up_is_taken_from_its_data(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: MakeSettings
) -> None:
    with valkey.client() as client:
        client.config_set("requirepass", "hunter2")
    (tmp_path / "redis-password").write_text("hunter2")
    monkeypatch.setenv("REDIS_PORT", str(valkey.port))
    monkeypatch.delenv("REDIS_URL", raising=False)
    found = check_redis(as_make_up_has_it(settings()))
    assert {each.state for each in found} == {State.OK}


@pytest.mark.parametrize(
    ("version", "seen", "advice"),
    [("0001", "needs", "make migrate"), ("9999", "newer than this program", "Start the newer program")],
)
def test_a_schema_of_another_version_is_named(
    sqlite_url: str, settings: MakeSettings, version: str, seen: str, advice: str
) -> None:
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    connection.close()
    found = check_database(settings(database_url=sqlite_url))
    assert_named(found, "database schema", seen=seen, advice=advice)


def test_a_machine_that_asks_for_this_hosts_name_is_named(sqlite_url: str, settings: MakeSettings) -> None:
    ours = settings(database_url=sqlite_url, worker_host="gpu-1")
    clone = a_host("gpu-1", machine=Machine("clone", says="the clone"))
    with closing(SqlStore(sqlite_url)) as store:
        store.beat(clone, gap_seconds=60)
        assert_named(
            check_database(ours), "host name", seen="in use by a live worker on the clone", advice="WORKER_HOST"
        )
        store.leave("gpu-1")
        store.beat(replace(clone, machine=this_machine(ours)), gap_seconds=60)
        assert [found.state for found in check_database(ours) if found.subject == "host name"] == [State.OK]
        with pytest.raises(HostNameTaken):
            store.beat(clone, gap_seconds=60)
    assert_named(
        check_database(ours), "host name", seen="also asked for by a worker on the clone", advice="WORKER_HOST"
    )


def test_a_database_that_is_not_made_yet_is_named_and_not_made(settings: MakeSettings, tmp_path: Path) -> None:
    assert_named(check_database(settings()), "database", seen="none at", advice="make migrate")
    assert not (tmp_path / "jobs.db").exists()


def test_a_wrong_password_of_the_database_is_named(postgres_server: PostgresServer, settings: MakeSettings) -> None:
    url = postgres_server.url("migrated").replace(postgres_server.password, "hunter2")
    found = check_database(settings(database_url=url))
    assert_named(found, "database", seen="password authentication failed", advice="DATABASE_URL")


def test_an_mlflow_that_does_not_know_its_own_name_is_told_it(mlflow: MlflowServer, settings: MakeSettings) -> None:
    with CuttingRelay(mlflow.port) as relay:
        found = list(check_tracking(settings(mlflow_tracking_uri=f"http://127.0.0.1:{relay.port}")))
    host = f"127.0.0.1:{relay.port}"
    assert_named(found, "MLflow", seen="answers 403", advice=f"{host} among its --allowed-hosts")


def test_a_storage_of_artifacts_that_cannot_be_written_is_named(mlflow: MlflowServer, settings: MakeSettings) -> None:
    folder = mlflow.folder / "artifacts"
    kept = folder.rename(mlflow.folder / "kept") if folder.exists() else None
    folder.write_text("no folder")
    try:
        found = list(check_tracking(settings(mlflow_tracking_uri=mlflow.url)))
    finally:
        folder.unlink()
        if kept:
            kept.rename(folder)
    assert_named(found, "MLflow artifacts", seen="HTTP 500", advice="--artifacts-destination")


@pytest.mark.parametrize("port", ["closed", "of another name"])
def test_an_mlflow_that_containers_do_not_reach_is_named(
    port: str, mlflow: MlflowServer, bridge: str, settings: MakeSettings
) -> None:
    with CuttingRelay(mlflow.port) as relay, forwarding(bridge, relay.port):
        there = free_port() if port == "closed" else relay.port
        asked = settings(container_tracking_uri=f"http://host.docker.internal:{there}", retrain_gpus="none")
        found = by_subject(check_docker(asked, os.environ))["MLflow from containers"]
    assert found.state is State.FAILURE
    if port == "closed":
        assert "Connection refused" in found.seen
        assert "CONTAINER_TRACKING_URI" in found.advice
    else:
        assert f"host.docker.internal:{there} among its --allowed-hosts" in found.advice


@pytest.mark.usefixtures("engine")
def test_a_missing_network_and_gpus_without_a_runtime_are_named(settings: MakeSettings) -> None:
    found = by_subject(check_docker(settings(container_network="no-such", retrain_gpus="7"), os.environ))
    assert found["training network"].state is State.FAILURE
    assert "docker network create no-such" in found["training network"].advice
    assert found["MLflow from containers"].state is State.SKIPPED
    assert found["GPUs"].state is State.FAILURE
    assert "nvidia-ctk" in found["GPUs"].advice


def test_an_engine_whose_restart_ends_training_is_warned_of(tmp_path: Path, settings: MakeSettings) -> None:
    with own_engine(tmp_path / "engine", live_restore=False) as engine:
        found = list(check_docker(settings(retrain_gpus="none"), {"DOCKER_HOST": engine.url}))
    assert_named(found, "Docker live-restore", seen="off", advice="live-restore", state=State.WARNING)
    assert by_subject(found)["MLflow from containers"].state is State.SKIPPED  # it has no image


@pytest.mark.parametrize(
    ("address", "seen", "advice"),
    [
        ("unix:///nonexistent/docker.sock", "no such socket", "systemctl start docker"),
        (f"tcp://{NOBODY}", "nothing listens", "systemctl start docker"),
        ("docker.example", "docker.example does not answer", "Correct DOCKER_HOST"),
    ],
)
def test_an_engine_that_is_not_there_is_told_apart(
    address: str, seen: str, advice: str, settings: MakeSettings
) -> None:
    assert_named(check_docker(settings(), {"DOCKER_HOST": address}), "Docker", seen=seen, advice=advice)


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Root may do everything; this user may not even look into the test's folder."""
    require_root()
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_engine_that_this_user_may_not_ask_is_told_apart(
    settings: MakeSettings, tmp_path: Path, as_nobody: None
) -> None:
    found = check_docker(settings(), {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    assert_named(found, "Docker", seen="permission denied", advice="usermod -aG docker")


@pytest.mark.parametrize("name", ["discord", "team-a"])
def test_a_deleted_webhook_of_discord_is_named_and_its_setting(
    name: str, discord: DiscordServer, settings: MakeSettings
) -> None:
    gone = discord.url.replace("/1/", "/2/")
    asked = {"discord_webhook_url": gone} if name == "discord" else {"alert_webhooks": f"team-a=discord:{gone}"}
    setting = next(iter(asked)).upper()
    found = check_alert_channels(settings(**asked))
    assert_named(
        found, f"alerts to {name}", seen="HTTP 404", advice=f"make one in the channel's settings, for {setting}"
    )


def test_a_git_host_that_answers_is_told_from_one_that_does_not(tmp_path: Path, settings: MakeSettings) -> None:
    allowed = settings(git_schemes="http")
    with GitServer(tmp_path / "repositories", username="ci", password="hunter2") as server:
        assert refusal(f"http://127.0.0.1:{server.port}/none.git", allowed, os.environ) is None
    refused = refusal(f"http://127.0.0.1:{server.port}/none.git", allowed, os.environ)
    assert refused
    assert "could not be fetched" in refused
    one = settings(git_schemes="http,ssh", git_hosts="127.0.0.1.invalid")
    assert_named(check_git(one, os.environ), "git host 127.0.0.1.invalid", seen="not", advice="GIT_HOSTS")


def test_a_disk_with_less_room_than_asked_for_is_named(settings: MakeSettings) -> None:
    found = check_settings(settings(disk_low_bytes=10**18))
    assert_named(found, "disk of DATA_DIR", seen="GB free", advice="DISK_LOW_BYTES")
