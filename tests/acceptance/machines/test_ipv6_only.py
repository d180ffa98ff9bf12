"""A machine without any IPv4 address: the stack, the command line, a followed log and the documentation work there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import mlproject, repository
from tests.support.network.ipv6 import ipv6_only
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until

PROJECT = {
    "MLproject": mlproject("python train.py"),
    "train.py": "import mlflow\n\nmlflow.log_metric('loss', 0.5)\nprint('trained by IPv6')\n",
}
CLI_SECONDS = 90


class Ipv6Stack(Stack):
    """A stack whose parts are told to listen at ::1."""

    @property
    def urls(self) -> dict[str, str]:
        """Where its parts answer."""
        return {name: f"http://[::1]:{port}" for name, port in self.ports.items() if name != "redis"}

    @property
    def environment(self) -> dict[str, str]:
        """As ever."""
        return {**super().environment, "API_HOST": "::1", "WORKER_METRICS_HOST": "::1"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Ipv6Stack(tmp_path_factory.mktemp("ipv6") / "a folder", "process")
    before = os.umask(0o022)
    try:
        with ipv6_only():
            try:
                made.start()
                yield made
            finally:
                made.clean()
    finally:
        os.umask(before)


def test_a_job_trains_and_its_log_is_followed_by_the_command_line(stack: Stack, tmp_path: Path) -> None:
    source = repository(tmp_path / "a project", PROJECT)
    asked = ["submit", "--experiment-name", "v6", "--git-uri", source, "--follow"]
    done = subprocess.run(
        [sys.executable, "-m", "mypackage.cli", *asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RETRAIN_URL": stack.urls["api"]},
        capture_output=True,
        text=True,
        timeout=CLI_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained by IPv6" in done.stdout
    [job] = requests.get(f"{stack.urls['api']}/jobs", timeout=10).json()["jobs"]
    assert requests.get(f"{stack.urls['api']}/jobs/{job['id']}", timeout=10).json()["metrics"] == {"loss": 0.5}


@pytest.mark.parametrize(
    ("part", "path", "said"),
    [("api", "/docs", "<title>"), ("api", "/openapi.json", '"openapi"'), ("mlflow", "/", "<title>MLflow")],
)
def test_pages_are_served(stack: Stack, part: str, path: str, said: str) -> None:
    answer = requests.get(f"{stack.urls[part]}{path}", timeout=30)
    assert (answer.status_code, said in answer.text) == (200, True)


def test_flower_and_the_metrics_of_the_worker_answer_too(stack: Stack) -> None:
    assert requests.get(stack.urls["flower"], timeout=30).status_code == 401  # it asks for the login
    assert "# HELP retrain_" in requests.get(f"{stack.urls['worker']}/metrics", timeout=10).text
    wait_until(lambda: "Ready." in stack.log, timeout_seconds=10, what="the announcement")
    assert f"API     {stack.urls['api']}/docs" in stack.log
