"""GET /workers."""

from flask.testing import FlaskClient

from shared.limits import Host, QueueCode
from tests.fakes.store import MemoryStore
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
        "gpus": ["0", "1"],
        "used_gpus": ["0"],
        "closed_because": None,
        "jobs": [job_id],
    }


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
