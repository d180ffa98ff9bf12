"""`retrain workers` and Client.workers(), against the API's own app, over HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mypackage.client import Client, ClientError
from shared.scheduling.hosts import Host, QueueCode
from tests.fakes.store import MemoryStore
from tests.support.jobs import SUCCEEDED
from tests.support.retrain_command import RetrainCommand
from tests.support.servers.served_app import ServedApp, served
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
    assert [*full[:5], *full[6:]] == ["full", "alive", "0/2", "0/0", "a,b", "DISK_FULL", "", ""]
    assert [*busy[:5], *busy[6:]] == ["gpu-1", "alive", "1/100", "1/2", "default", "", job_id, "a100,gpu"]


def test_json_is_what_the_client_returns(run: RetrainCommand, server: ServedApp, store: MemoryStore) -> None:
    assert Client(server.url).workers() == []
    store.beat(FULL, gap_seconds=60)
    (worker,) = json.loads(run("workers", "--json").stdout)
    assert (worker["host"], worker["closed_because"]) == ("full", "DISK_FULL")
    assert Client(server.url).workers() == [worker]


def test_what_a_host_is_called_reaches_no_terminal_as_a_control(run: RetrainCommand, store: MemoryStore) -> None:
    store.beat(Host("a\x1b[31m\nb", 1, {"default"}, "docker"), gap_seconds=60)
    assert run("workers").stdout.startswith("a b\talive\t")


def test_a_drained_host_is_listed_with_its_labels_and_why(run: RetrainCommand, store: MemoryStore) -> None:
    store.beat(HOST, gap_seconds=60)
    said = run("workers", "drain", "gpu-1", "--reason", "new disks").stdout
    assert said == "Host gpu-1 takes nothing new; 0 attempts run there.\n"
    (line,) = run("workers").stdout.splitlines()
    assert line.split("\t")[6:] == ["DRAINED: new disks", "", "a100,gpu"]
    assert run("workers", "undrain", "gpu-1").stdout == "Host gpu-1 takes new attempts again.\n"
    assert json.loads(run("workers", "--json").stdout)[0]["drain"] is None


def test_drain_waits_until_nothing_runs_there(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mypackage.client.hosts.LOOK_SECONDS", 0.01)
    store.beat(HOST, gap_seconds=60)
    held = claim_job(run.new_job(**BODY))
    late = run("workers", "drain", "gpu-1", "--wait", "--timeout", "0.05", code=4)
    assert "1 attempt runs on host gpu-1 after 0.05 s; it stays drained" in late.stderr
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(Client(run.url).await_drained, "gpu-1", 30)
        assert not waiting.done()
        store.finish(held, SUCCEEDED)
        assert waiting.result()["used_slots"] == 0
    worker = json.loads(run("workers", "drain", "gpu-1", "--wait", "--json").stdout)
    assert (worker["used_slots"], worker["closed_because"]) == (0, "DRAINED")


def test_nobody_waits_for_a_host_that_was_undrained_meanwhile(server: ServedApp, store: MemoryStore) -> None:
    store.beat(HOST, gap_seconds=60)
    with pytest.raises(ClientError, match="gpu-1 is not drained"):
        Client(server.url).await_drained("gpu-1")


def test_a_host_that_nobody_has_heard_of_is_an_error(run: RetrainCommand) -> None:
    for command in ("drain", "undrain"):
        assert "HOST_NOT_FOUND" in run("workers", command, "gpu-9", code=2).stderr
