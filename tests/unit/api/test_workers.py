"""GET /workers, and draining a host."""

from dataclasses import replace
from functools import partial

import pytest
from flask.testing import FlaskClient

from shared.errors import HostNameTaken
from shared.scheduling.hosts import Host, Machine, QueueCode
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import HOST, ClaimJob, MakeApp, Submit


def test_a_worker_is_listed_with_what_it_offers_and_what_it_runs(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    job_id = submit(resources={"gpus": 1})["id"]
    claim_job(job_id)
    (worker,) = (client.get("/workers").json or {})["workers"]
    assert worker.pop("seen_at").endswith("Z")
    assert worker == {
        "host": "gpu-1",
        "state": "alive",
        "queues": ["default"],
        "runner": "docker",
        "slots": 100,
        "used_slots": 1,
        "labels": ["a100", "gpu"],
        "gpus": ["0", "1"],
        "used_gpus": ["0"],
        "closed_because": None,
        "drain": None,
        "machine": None,
        "refused": None,
        "jobs": [job_id],
        "running": [{"id": job_id, "gpus": ["0"]}],
    }


def test_a_machine_that_wanted_the_name_of_another_is_shown_with_it(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(replace(HOST, machine=Machine("a", says="vm-a")), gap_seconds=60)
    with pytest.raises(HostNameTaken):
        store.beat(replace(HOST, machine=Machine("b", says="vm-b")), gap_seconds=60)
    (worker,) = (client.get("/workers").json or {})["workers"]
    assert (worker["machine"], worker["refused"]["machine"]) == ("vm-a", "vm-b")
    assert worker["refused"]["at"].endswith("Z")


def test_a_host_that_takes_nothing_says_why(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(Host("full", 1, {"b", "a"}, "docker", closed_because=QueueCode.DISK_FULL), gap_seconds=60)
    (worker,) = (client.get("/workers").json or {})["workers"]
    assert (worker["closed_because"], worker["queues"]) == ("DISK_FULL", ["a", "b"])


def test_workers_that_left_are_listed_too(client: FlaskClient, store: MemoryStore) -> None:
    for name in ("b", "a"):
        store.beat(Host(name, 1, {"default"}, "docker"), gap_seconds=60)
    store.leave("a")
    listed = (client.get("/workers").json or {})["workers"]
    assert [(each["host"], each["state"]) for each in listed] == [("a", "left"), ("b", "alive")]


def test_workers_are_told_to_holders_of_a_token_only(make_app: MakeApp) -> None:
    guarded = make_app(api_tokens="t").test_client()
    assert guarded.get("/workers").status_code == 401
    assert guarded.get("/workers", headers={"Authorization": "Bearer t"}).json == {"workers": []}


def test_a_drained_host_is_shown_with_the_reason_until_it_is_undrained(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    job_id = submit()["id"]
    claim_job(job_id)
    drained = client.post("/workers/gpu-1/drain", json={"reason": "new disks"}).json or {}
    assert (drained["closed_because"], drained["jobs"]) == ("DRAINED", [job_id])
    assert (drained["drain"]["reason"], drained["drain"]["since"][-1]) == ("new disks", "Z")
    assert (client.get("/workers").json or {})["workers"] == [drained]
    assert client.post("/workers/gpu-1/drain").json == drained
    free = client.delete("/workers/gpu-1/drain").json or {}
    assert (free["closed_because"], free["drain"], free["used_slots"]) == (None, None, 1)


def test_a_waiting_job_says_that_its_host_is_drained_and_why(
    client: FlaskClient, store: MemoryStore, submit: Submit
) -> None:
    store.beat(HOST, gap_seconds=60)
    job_id = submit(resources={"host": "gpu-1"})["id"]
    client.post("/workers/gpu-1/drain", json={"reason": "new disks"})
    queue = (client.get(f"/jobs/{job_id}").json or {})["queue"]
    assert (queue["code"], "drained (new disks)" in queue["message"]) == ("DRAINED", True)


def test_a_host_that_nobody_has_heard_of_is_not_found(client: FlaskClient) -> None:
    for answer in (client.post("/workers/gpu-9/drain"), client.delete("/workers/gpu-9/drain")):
        problem = answer.json or {}
        assert (answer.status_code, problem["code"]) == (404, "HOST_NOT_FOUND")
        assert "'gpu-9'" in problem["detail"]


def test_a_reason_that_holds_an_address_with_a_password_is_refused(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(HOST, gap_seconds=60)
    answer = client.post("/workers/gpu-1/drain", json={"reason": "see https://user:hunter2@wiki.example"})
    assert (answer.status_code, "hunter2" in answer.text) == (422, False)
    assert (client.get("/workers").json or {})["workers"][0]["drain"] is None


def _of_host(method: str, api: Api) -> Asking:
    api.store.beat(HOST, gap_seconds=60)
    others = {"404": lambda: api.client().open("/workers/gpu-9/drain", method=method)}
    return Asking(f"/workers/{HOST.name}/drain", others=others)


DOCUMENTED: Documented = {f"{method} /workers/<host>/drain": partial(_of_host, method) for method in ("POST", "DELETE")}
