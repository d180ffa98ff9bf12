"""A proxy of the environment is asked for what lies outside, and never for the service's own parts."""

import subprocess
from pathlib import Path

import pytest

from shared.own_addresses import is_loopback, is_this_machine, reachable_at
from shared.proxies import exceptions, go_directly_to_own_parts, prelude_of_training
from shared.settings import Settings

PROXY = "http://proxy.example:3128"


def settings_in(folder: Path, **others: str) -> Settings:
    return Settings.load(data_dir=folder, _env_file=None, **others)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_where_a_proxy_is_set_this_machine_and_the_stacks_own_servers_are_exceptions(name: str, tmp_path: Path) -> None:
    environment = {name: PROXY, "NO_PROXY": "git.corp.example"}
    go_directly_to_own_parts(environment, settings_in(tmp_path, mlflow_tracking_uri="http://mlflow:5000"))
    assert environment["no_proxy"] == environment["NO_PROXY"]
    assert {"git.corp.example", "localhost", "127.0.0.1", "::1", "mlflow"} <= set(environment["NO_PROXY"].split(","))


def test_a_server_outside_is_asked_through_the_proxy(tmp_path: Path) -> None:
    environment = {"HTTPS_PROXY": PROXY}
    go_directly_to_own_parts(environment, settings_in(tmp_path, mlflow_tracking_uri="https://mlflow.invalid"))
    assert "mlflow.invalid" not in environment["no_proxy"]


@pytest.mark.parametrize("environment", [{}, {"HTTP_PROXY": ""}, {"HTTP_PROXY": PROXY, "no_proxy": "*"}])
def test_nothing_is_set_where_no_proxy_is_used(environment: dict[str, str]) -> None:
    assert exceptions(environment, ["localhost"]) == {}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ""),
        ({"HTTP_PROXY": PROXY}, "MINE"),
        ({"https_proxy": PROXY, "NO_PROXY": "a.example", "no_proxy": "b.example"}, "b.example,a.example,MINE"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, "*"),
    ],
)
def test_a_training_gets_the_same_exceptions_for_the_proxy_of_its_image(
    environment: dict[str, str], expected: str
) -> None:
    script = prelude_of_training("http://mlflow:5007", is_guarded=True) + 'printf %s "${NO_PROXY-}"'
    done = subprocess.run(["/bin/sh", "-euc", script], env=environment, capture_output=True, text=True, check=True)
    mine = "127.0.0.1,::1,localhost,127.0.0.0/8,host.docker.internal,mlflow"
    assert done.stdout == expected.replace("MINE", mine)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "LOCALHOST", "localhost.", "api.localhost", "::1"])
def test_loopback_is_known_in_every_form(host: str) -> None:
    assert is_loopback(host)
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["", None, "0.0.0.0", "192.0.2.1", "2001:db8::1", "name.invalid"])
def test_what_is_elsewhere_or_nowhere_is_not_this_machine(host: str | None) -> None:
    assert not is_this_machine(host)


@pytest.mark.parametrize(
    ("listens", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_what_listens_everywhere_is_reached_on_loopback(listens: str, reached: str) -> None:
    assert reachable_at(listens) == reached
