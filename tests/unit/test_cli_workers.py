"""`retrain workers` and Client.workers(), against the API's own app, over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mypackage.client import Client
from shared.limits import Host, QueueCode
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand
from tests.support.served_app import ServedApp, served
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp

FULL = Host("full", 2, {"b", "a"}, "docker", closed_because=QueueCode.DISK_FULL)


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    return RetrainCommand(server.url)


def test_a_line_for_each_worker_says_what_is_in_use_and_why_one_takes_nothing(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob
) -> None:
    for host in (HOST, FULL):
        store.beat(host, gap_seconds=60)
    job_id = run.new_job(**BODY, resources={"gpus": 1})
    claim_job(job_id)
    full, busy = (line.split("\t") for line in run("workers").stdout.splitlines())
    assert [*full[:5], *full[6:]] == ["full", "alive", "0/2", "0/0", "a,b", "DISK_FULL", ""]
    assert [*busy[:5], *busy[6:]] == ["gpu-1", "alive", "1/100", "1/2", "default", "", job_id]


def test_json_is_what_the_client_returns(run: RetrainCommand, server: ServedApp, store: MemoryStore) -> None:
    assert Client(server.url).workers() == []
    store.beat(FULL, gap_seconds=60)
    (worker,) = json.loads(run("workers", "--json").stdout)
    assert (worker["host"], worker["closed_because"]) == ("full", "DISK_FULL")
    assert Client(server.url).workers() == [worker]


def test_what_a_host_is_called_reaches_no_terminal_as_a_control(run: RetrainCommand, store: MemoryStore) -> None:
    store.beat(Host("a\x1b[31m\nb", 1, {"default"}, "docker"), gap_seconds=60)
    assert run("workers").stdout.startswith("a b\talive\t")
