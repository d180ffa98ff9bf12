"""A machine as companies have it: a proxy that this machine is not behind, odd names of folders, an open umask."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.support.projects import mlproject, repository
from tests.support.servers.stack import Stack, running_stack
from tests.support.waiting import wait_until

ODD_NAME = "a b'ü&;$(x)[1]+=@!,{y}~:^|<>*`%\"\\"  # all that a path may hold but ? and #, which the start refuses
DEAD_PROXY = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), DEAD_PROXY)
PROJECT = {"MLproject": mlproject("python train.py"), "train.py": "import mlflow\n\nmlflow.log_metric('loss', 0.5)\n"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    before = os.umask(0o022)
    try:
        with running_stack(tmp_path / ODD_NAME, runner="process", settings=PROXIES) as up:
            yield up
    finally:
        os.umask(before)


def test_behind_a_companys_proxy_the_stack_gets_ready_and_trains(stack: Stack, tmp_path: Path) -> None:
    source = repository(tmp_path / "project", PROJECT)
    job = stack.wait(stack.post({"experiment_name": "proxied", "git_uri": source}))
    assert (job["state"], job["metrics"]) == ("succeeded", {"loss": 0.5}), job["reason"]
    wait_until(lambda: "Ready." in stack.log, timeout_seconds=10, what="the announcement")
