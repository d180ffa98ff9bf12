"""What `make up` decides from the settings, from wherever they come."""

import os
from pathlib import Path

import pytest

from deploy.flower_dashboard import command as flower_command
from deploy.mlflow_server import answered
from deploy.mlflow_server import command as mlflow_command
from deploy.one_machine.plan import Stack, plan
from deploy.one_machine.ports import ports
from deploy.one_machine.process_secrets import environment_of
from shared.errors import ConfigurationError

FILE = "file"
ENVIRONMENT = "environment"


@pytest.fixture(params=[FILE, ENVIRONMENT])
def planned(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "MakePlan":
    return MakePlan(request.param, tmp_path, monkeypatch)


class MakePlan:
    """Plans in a folder of its own, with settings from .env or from the environment."""

    def __init__(self, source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._source, self._folder, self._monkeypatch = source, folder, monkeypatch

    def __call__(self, **settings: str) -> Stack:
        """Plan with these settings."""
        given = {"RUNNER": "process", "DATA_DIR": str(self._folder / "data"), **settings}
        self._monkeypatch.chdir(self._folder)
        kept = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        if self._source == FILE:
            Path(".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        else:
            kept |= given
        self._monkeypatch.setattr(os, "environ", kept)
        return plan()


def test_the_port_of_its_redis_is_a_setting_as_others_are(planned: MakePlan) -> None:
    stack = planned(REDIS_PORT="6309")
    assert ports(stack)["redis"] == 6309
    assert "@127.0.0.1:6309/0" in stack.environment["REDIS_URL"]


def test_the_firewall_is_told_of_settings_in_the_environment_which_is_all_that_it_reads(planned: MakePlan) -> None:
    told = environment_of("firewall", planned(TRAINING_ALLOWED_NETWORKS="10.1.2.0/24").environment, lent=())
    assert told["TRAINING_ALLOWED_NETWORKS"] == "10.1.2.0/24"


@pytest.mark.parametrize(
    ("uri", "listens"),
    [
        ("http://[::1]:5107", "::1"),
        ("http://127.0.0.2:5107", "127.0.0.2"),
        ("http://localhost:5107", "127.0.0.1"),
        ("http://LOCALHOST:5107", "127.0.0.1"),
    ],
)
def test_its_mlflow_listens_where_the_tracking_address_says(planned: MakePlan, uri: str, listens: str) -> None:
    stack = planned(MLFLOW_TRACKING_URI=uri)
    arguments = mlflow_command(stack.settings)
    assert "mlflow" in stack.processes
    assert arguments[arguments.index("--host") + 1] == listens
    named = "[::1]:5107" if listens == "::1" else f"{listens}:5107"
    assert named in answered(stack.settings)["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_an_own_mlflow_without_a_port_is_refused_since_clients_would_look_at_another(
    planned: MakePlan, host: str
) -> None:
    with pytest.raises(ConfigurationError, match="has no port") as caught:
        planned(MLFLOW_TRACKING_URI=f"http://{host}")
    advised = caught.value.message.partition("Write ")[2].removesuffix(".")
    assert ports(planned(MLFLOW_TRACKING_URI=advised))["mlflow"] == 5007


def test_an_mlflow_elsewhere_is_not_started(planned: MakePlan) -> None:
    assert "mlflow" not in planned(MLFLOW_TRACKING_URI="http://mlflow.example.com:5007").processes


@pytest.mark.parametrize(
    ("url", "address", "port", "path"),
    [
        ("http://127.0.0.1:5556", "127.0.0.1", 5556, None),
        ("http://[::1]:5556", "::1", 5556, None),
        ("http://127.0.0.1", "127.0.0.1", 5555, None),
        ("https://ml.example.invalid/flower/", "127.0.0.1", 5555, "flower"),
        ("https://ml.example.invalid:8443", "127.0.0.1", 5555, None),
    ],
)
def test_flower_listens_here_whatever_its_address_for_people(
    planned: MakePlan, url: str, address: str, port: int, path: str | None
) -> None:
    stack = planned(FLOWER_URL=url)
    assert ports(stack)["flower"] == port
    arguments = flower_command(stack.settings)
    assert {f"--address={address}", f"--port={port}"} <= set(arguments)
    assert [each for each in arguments if "prefix" in each] == ([f"--url-prefix={path}"] if path else [])


def test_its_processes_share_few_heaps_unless_the_operator_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = MakePlan(ENVIRONMENT, tmp_path, monkeypatch)
    asked = planned()
    for name in ("api", "worker", "mlflow", "flower"):
        assert environment_of(name, asked.environment, lent=())["MALLOC_ARENA_MAX"] == "2"
    assert planned(MALLOC_ARENA_MAX="8").environment["MALLOC_ARENA_MAX"] == "8"
