"""docker-compose.worker.yml and its companions are what Compose takes, with three settings and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.alerts.kinds import kinds
from shared.settings import Settings
from tests.support.engines import require

DEPLOY = Path(__file__).parents[3] / "deploy"
THREE_SETTINGS = {"MAIN_HOST": "10.0.0.5", "WORKER_HOST": "gpu-2", "DOCKER_GID": "998"}
WORKER, GPU, MORE_HOSTS = "docker-compose.worker.yml", "docker-compose.gpu.yml", "docker-compose.more-hosts.yml"
CONFIG_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def compose() -> None:
    require(shutil.which("docker") is not None, "Docker Compose")
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    require(asked.returncode == 0, "Docker Compose")


def config(*files: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """What Compose makes of the files, with no other settings than these."""
    named = [word for file in files for word in ("--file", str(DEPLOY / file))]
    return subprocess.run(
        ["docker", "compose", "--env-file", os.devnull, *named, "config"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "ENV_FILE": os.devnull, **settings},
        capture_output=True,
        text=True,
        timeout=CONFIG_SECONDS,
        check=False,
    )


def services(*files: str, **settings: str) -> dict[str, Any]:
    done = config(*files, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_a_worker_joins_with_three_settings_and_its_secrets_come_as_files() -> None:
    worker = services(WORKER, **THREE_SETTINGS)["worker"]
    environment = worker["environment"]
    assert environment.pop("TRAINING_FIREWALL_FILE") == "/firewall/stands"
    assert environment["WORKER_HOST"] == "gpu-2"
    assert environment["MLFLOW_TRACKING_URI"] == "http://10.0.0.5:5007"
    assert sorted(worker["extra_hosts"]) == ["postgres=10.0.0.5", "redis=10.0.0.5"]
    assert worker["group_add"] == ["998"]
    files = {name: value for name, value in environment.items() if name.endswith("_FILE")}
    mounted = {each["source"]: each["target"] for each in worker["secrets"]}
    assert mounted.pop("docker_config") == f"{environment['DOCKER_CONFIG']}/config.json"
    assert set(files.values()) == {f"/run/secrets/{name}" for name in mounted}
    channels = {name.upper() for kind in kinds().values() for name in kind.model_fields}
    known = channels | {name.upper() for name in Settings.model_fields} | {"TMPDIR", "DOCKER_CONFIG"}
    assert {name for name in environment if name.removesuffix("_FILE") not in known} <= known


@pytest.mark.parametrize("missing", list(THREE_SETTINGS))
def test_a_setting_that_is_missing_is_named(missing: str) -> None:
    done = config(WORKER, **{name: value for name, value in THREE_SETTINGS.items() if name != missing})
    assert done.returncode != 0
    assert f"Set {missing} in deploy/.env" in done.stderr


def test_the_workers_container_is_as_closed_as_it_can_be() -> None:
    for name, service in services(WORKER, **THREE_SETTINGS).items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges"], name
        assert "ports" not in service, name


def test_with_gpus_the_worker_sees_all_of_them_and_what_tells_them_apart() -> None:
    reservations = services(WORKER, GPU, **THREE_SETTINGS)["worker"]["deploy"]["resources"]["reservations"]
    [device] = reservations["devices"]
    assert (device["driver"], device["count"]) == ("nvidia", -1)
    assert sorted(device["capabilities"]) == ["gpu", "utility"]
    assert "deploy" not in services(WORKER, **THREE_SETTINGS)["worker"]


def test_the_first_host_opens_two_ports_on_its_private_address_only() -> None:
    opened = yaml.safe_load((DEPLOY / MORE_HOSTS).read_text())["services"]  # no images: it stands behind another file
    ports = [port for service in opened.values() for port in service["ports"]]
    assert all(port.startswith("${MAIN_HOST") for port in ports)
    assert [port.rsplit("}", 1)[1] for port in ports] == [":5432:5432", ":6379:6379"]


def test_an_override_as_the_page_shows_it_is_read_by_the_pages_own_commands(tmp_path: Path) -> None:
    page = (DEPLOY.parent / "docs/operate/network.md").read_text()
    shown = page.partition("docker-compose.override.yml`:\n\n```yaml\n")[2].partition("```")[0]
    shutil.copy(DEPLOY / "docker-compose.yml", tmp_path)
    (tmp_path / "docker-compose.override.yml").write_text(shown)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "DOCKER_GID": "998"}
    for files in ([], ["-f", "docker-compose.yml", "-f", "docker-compose.override.yml"]):
        done = subprocess.run(
            ["docker", "compose", *files, "config"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=CONFIG_SECONDS,
            check=True,
        )
        worker = yaml.safe_load(done.stdout)["services"]["worker"]
        assert worker["environment"]["SSL_CERT_FILE"] == "/run/ca.crt"
        assert "/run/ca.crt" in [each["target"] for each in worker["volumes"]]


def test_no_page_has_a_command_that_leaves_an_override_out_without_saying_so() -> None:
    pages = [DEPLOY.parent / "README.md", *(DEPLOY.parent / "docs").rglob("*.md")]
    named = [line.strip() for page in pages for line in page.read_text().splitlines() if "docker compose -" in line]
    alone = [line for line in named if "-f docker-compose.yml" in line and line.count("-f ") == 1]
    assert alone == []
    assert not any("docker compose --file" in line for line in named)
