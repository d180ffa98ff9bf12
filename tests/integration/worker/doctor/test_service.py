"""The doctor finds nothing where all is well, and all that is wrong at once; channels, git hosts and disk."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.worker.doctor.conftest import NOBODY, ROOT, MakeSettings, assert_named, by_subject
from tests.support.alerting.discord import DiscordServer
from tests.support.network.forwarding import forwarding
from tests.support.servers.git_server import GitServer
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until
from worker.doctor.__main__ import findings_of
from worker.doctor.alert_channels import check_alert_channels
from worker.doctor.git_hosts import check_git, refusal
from worker.doctor.own_settings import check_settings
from worker.findings.finding import State
from worker.runners.docker.checks.trial_containers import LABEL

MOST_SECONDS = 15  # what it may take when everything is away, with its start


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
        server.behaviour.page = b"<html>Log in</html>"
        assert "a page" in str(refusal(f"http://127.0.0.1:{server.port}/none.git", allowed, os.environ))
    refused = refusal(f"http://127.0.0.1:{server.port}/none.git", allowed, os.environ)
    assert refused
    assert "could not be fetched" in refused
    one = settings(git_schemes="http,ssh", git_hosts="127.0.0.1.invalid")
    assert_named(check_git(one, os.environ), "git host 127.0.0.1.invalid", seen="not", advice="GIT_HOSTS")


def test_a_disk_with_less_room_than_asked_for_is_named(settings: MakeSettings) -> None:
    found = check_settings(settings(disk_low_bytes=10**18))
    assert_named(found, "disk of DATA_DIR", seen="GB free", advice="DISK_LOW_BYTES")
