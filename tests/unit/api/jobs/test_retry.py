"""POST /jobs/<id>/retry: a new job that repeats one that has ended."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.jobs.model import Job, JobState
from shared.jobs.records import Ending, Resolution
from shared.secrets.vault import Vault
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

IMAGE_ID = f"sha256:{'c' * 64}"
SHA = "f" * 40
PINNED_DATA = f"https://host/data.git@{SHA}:a/b"
PINNED = {"commit_sha": SHA, "image_id": IMAGE_ID, "dataset_repo": PINNED_DATA, "base_model_version": "3"}
TOKEN = "ghp_0123456789abcdef"
CLEAN = "https://github.com/user/iris.git"
PRIVATE = f"https://{TOKEN}@github.com/user/iris.git"
DATA = "https://data.example.org/team/iris.git@v1:train"
PRIVATE_DATA = f"https://{TOKEN}@data.example.org/team/iris.git@v1:train"

SubmitEnded = Callable[..., str]


@pytest.fixture
def submit_ended(submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> SubmitEnded:
    """Submit a job that ends after its commit was found; return its id."""

    def end(**fields: Any) -> str:
        job_id: str = submit(**fields)["id"]
        claim = claim_job(job_id)
        store.resolve(claim, Resolution(**PINNED))
        store.finish(claim, Ending(JobState.FAILED))
        return job_id

    return end


def retried(client: FlaskClient, job_id: str, **body: Any) -> dict[str, Any]:
    """Retry, expect that it was accepted, and return the new job."""
    answer = client.post(f"/jobs/{job_id}/retry", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json or {}
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    return job


def refused(client: FlaskClient, job_id: str, **body: Any) -> tuple[str, str, str]:
    """Retry, expect a refusal at one place; return the problem's code, and that place with its code."""
    answer = client.post(f"/jobs/{job_id}/retry", json=body)
    assert answer.status_code == 422, answer.text
    assert TOKEN not in answer.text
    problem = answer.json or {}
    [error] = problem["errors"]
    return problem["code"], error["pointer"], error["code"]


def record_as(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let the store answer jobs as another version recorded them."""
    get = store.get

    def changed(job_id: str) -> Job:
        return replace(get(job_id), **changes)

    monkeypatch.setattr(store, "get", changed)


def test_a_retry_is_a_new_job_with_the_same_request_that_names_the_first(
    client: FlaskClient, submit_ended: SubmitEnded, queue: RecordingQueue
) -> None:
    first_id = submit_ended(model_name="m", priority=7, labels={"team": "vision"}, resources={"gpus": 1})
    answer = client.post(f"/jobs/{first_id}/retry")  # without any body
    assert answer.status_code == 202
    new, first = answer.json or {}, client.get(f"/jobs/{first_id}").json or {}
    assert new["id"] != first_id
    assert (new["state"], new["retry_of"], first["retry_of"]) == ("queued", first_id, None)
    for name in ("request", "priority", "concurrency_key", "labels"):
        assert new[name] == first[name]
    assert queue.sent[-1] == new["id"]
    assert (client.get(f"/jobs/{new['id']}").json or {})["retry_of"] == first_id


def test_a_retry_asks_for_the_same_hosts_and_as_many_gpus_as_the_first_job(
    client: FlaskClient, submit_ended: SubmitEnded, store: MemoryStore
) -> None:
    resources = {"host": "gpu-1", "host_labels": ["gpu", "a100"], "gpus": 2}
    kept = store.get(retried(client, submit_ended(resources=resources))["id"])
    assert (kept.wanted_host, kept.wanted_labels, kept.gpus) == ("gpu-1", ("a100", "gpu"), 2)


@pytest.mark.parametrize(("body", "is_pinned"), [({}, True), ({"pin": False}, False)])
def test_a_retry_trains_the_same_commit_from_the_same_image_data_and_base_model_unless_it_is_not_pinned(
    client: FlaskClient, submit_ended: SubmitEnded, body: dict[str, Any], is_pinned: bool
) -> None:
    resolved = retried(client, submit_ended(), **body)["resolved"]
    dataset = {"repo": "https://host/data.git", "rev": SHA, "path": "a/b", "digest": None}
    pinned = {"commit_sha": SHA, "image": None, "image_id": IMAGE_ID, "dataset": dataset}
    pinned |= {"base_model_version": "3", "base_model": None}
    assert resolved == (pinned if is_pinned else dict.fromkeys(pinned))


def test_a_retry_of_a_job_that_never_found_its_commit_looks_it_up(client: FlaskClient, submit: Submit) -> None:
    job_id = submit()["id"]
    client.post(f"/jobs/{job_id}/cancel")
    assert retried(client, job_id)["resolved"]["commit_sha"] is None


def test_a_retry_can_be_retried_and_names_the_job_that_it_repeats(
    client: FlaskClient, submit_ended: SubmitEnded
) -> None:
    second = retried(client, submit_ended())["id"]
    client.post(f"/jobs/{second}/cancel")
    third = retried(client, second)
    assert third["retry_of"] == second
    assert third["resolved"]["commit_sha"] == SHA


def test_a_job_that_goes_on_cannot_be_retried(client: FlaskClient, submit: Submit, queue: RecordingQueue) -> None:
    answer = client.post(f"/jobs/{submit()['id']}/retry")
    assert answer.status_code == 409
    assert (answer.json or {})["code"] == "JOB_NOT_ENDED"
    assert "queued" in (answer.json or {})["detail"]
    assert len(queue.sent) == 1


def test_the_same_key_answers_the_same_retry_and_sends_nothing(
    client: FlaskClient, submit_ended: SubmitEnded, queue: RecordingQueue
) -> None:
    address, headers = f"/jobs/{submit_ended()}/retry", {"Idempotency-Key": "k"}
    first = client.post(address, headers=headers)
    again = client.post(address, headers=headers, json={"pin": True})
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert (again.json or {})["id"] == (first.json or {})["id"]
    assert "Idempotency-Replayed" not in first.headers
    assert len(queue.sent) == 2


def test_a_key_stands_for_one_job_and_one_body(client: FlaskClient, submit_ended: SubmitEnded) -> None:
    headers, first, other = {"Idempotency-Key": "k"}, submit_ended(), submit_ended()
    assert client.post(f"/jobs/{first}/retry", headers=headers).status_code == 202
    for address, body in (
        (f"/jobs/{other}/retry", {}),
        (f"/jobs/{first}/retry", {"pin": False}),
        ("/retrain", BODY),
    ):
        answer = client.post(address, headers=headers, json=body)
        assert (answer.status_code, (answer.json or {})["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("sent", [{"git_uri": PRIVATE}, {"dataset_repo": PRIVATE_DATA}])
@pytest.mark.parametrize("again", [{}, {"git_uri": CLEAN}, {"git_uri": None, "dataset_repo": DATA}])
def test_a_job_that_came_with_credentials_is_not_retried_without(
    client: FlaskClient, submit_ended: SubmitEnded, sent: dict[str, str], again: dict[str, str]
) -> None:
    job_id = submit_ended(**{"dataset_repo": DATA, **sent})
    assert refused(client, job_id, **again) == ("CREDENTIALS_NEEDED", "/git_uri", "CREDENTIALS_NEEDED")


def test_credentials_that_come_again_are_kept_only_in_the_vault(
    client: FlaskClient,
    submit_ended: SubmitEnded,
    claim_job: ClaimJob,
    store: MemoryStore,
    vault: Vault,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    job_id = submit_ended(git_uri=PRIVATE, dataset_repo=PRIVATE_DATA)
    job = retried(client, job_id, git_uri=PRIVATE, dataset_repo=PRIVATE_DATA)
    assert (job["request"]["git_uri"], job["request"]["dataset_repo"]) == (CLEAN, DATA)
    assert TOKEN not in str(job) + str(store.get(job["id"])) + caplog.text
    secrets = vault.open(store.secret(claim_job(job["id"])))
    assert secrets.source is not None
    assert secrets.dataset is not None
    assert TOKEN in secrets.source.secrets


def test_credentials_may_come_for_a_job_that_had_none(client: FlaskClient, submit_ended: SubmitEnded) -> None:
    first = submit_ended(git_uri="https://contoso@github.com/user/iris.git")  # a name alone is no login
    assert retried(client, first)["request"]["git_uri"] == CLEAN
    second = retried(client, first, git_uri=PRIVATE)["id"]
    client.post(f"/jobs/{second}/cancel")
    assert refused(client, second)[0] == "CREDENTIALS_NEEDED"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("git_uri", f"https://{TOKEN}@github.com/user/other.git"),
        ("git_uri", f"https://{TOKEN}@elsewhere.example.org/user/iris.git"),
        ("dataset_repo", PRIVATE_DATA.replace("@v1", "@v2")),
        ("dataset_repo", "not_used"),
    ],
)
def test_another_address_is_refused(client: FlaskClient, submit_ended: SubmitEnded, field: str, value: str) -> None:
    job_id = submit_ended(git_uri=PRIVATE, dataset_repo=DATA)
    assert refused(client, job_id, **{field: value}) == ("VALIDATION_FAILED", f"/{field}", "ANOTHER_ADDRESS")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"git_uri": f"ftp://{TOKEN}@host/x"}, "/git_uri"),
        ({"git_uri": f"https://{TOKEN}@host/x?a#b"}, "/git_uri"),
        ({"git_uri": ""}, "/git_uri"),
        ({"git_uri": 7}, "/git_uri"),
        ({"git_uri": "https://host/" + "x" * 2048}, "/git_uri"),
        ({"dataset_repo": f"https://{TOKEN}@ho st/x"}, "/dataset_repo"),
        ({"dataset_repo": "a\u0007b"}, "/dataset_repo"),
        ({"pin": "yes"}, "/pin"),
        ({"pin": None}, "/pin"),
        ({"commit_hash": "main"}, "/commit_hash"),
    ],
)
def test_what_is_wrong_with_a_retry_is_pointed_at(
    client: FlaskClient,
    submit_ended: SubmitEnded,
    caplog: pytest.LogCaptureFixture,
    body: dict[str, Any],
    pointer: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    code, where, _ = refused(client, submit_ended(), **body)
    assert (code, where) == ("VALIDATION_FAILED", pointer)
    assert TOKEN not in caplog.text


def test_an_address_that_the_operator_allows_no_longer_is_refused(make_app: MakeApp, submit_ended: SubmitEnded) -> None:
    job_id = submit_ended()
    client = make_app(git_hosts="git.example.org").test_client()
    assert refused(client, job_id) == ("VALIDATION_FAILED", "/git_uri", "NOT_ALLOWED")


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({}, "experiment_name, git_uri"),
        ({**BODY, "colour": "red"}, "colour"),
        ({**BODY, "resources": {"gpus": 1, "host_x": "gpu-9"}}, "resources.host_x"),
        ({**BODY, "git_uri": None}, "git_uri"),
        ({**BODY, "resources": {"gpus": "two"}, "priority": 12}, "priority, resources"),
    ],
)
def test_a_request_that_another_version_recorded_and_this_one_does_not_take_is_a_conflict(
    client: FlaskClient,
    submit_ended: SubmitEnded,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    request_: dict[str, Any],
    named: str,
) -> None:
    job_id = submit_ended()
    record_as(store, monkeypatch, request=request_)
    answer = client.post(f"/jobs/{job_id}/retry", json={"git_uri": CLEAN})
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "REQUEST_OUTDATED")
    assert f"({named})" in (answer.json or {})["detail"]


def test_a_request_that_an_older_version_recorded_gets_the_defaults_of_new_fields(
    client: FlaskClient, submit_ended: SubmitEnded, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit_ended()
    record_as(store, monkeypatch, request=BODY)
    assert retried(client, job_id)["request"]["priority"] == 4


def test_a_retry_is_accepted_while_redis_is_down(
    client: FlaskClient, submit_ended: SubmitEnded, queue: RecordingQueue
) -> None:
    job_id = submit_ended()
    queue.down = True
    assert retried(client, job_id)["state"] == "queued"


def test_the_new_job_has_the_id_of_the_request_that_repeated_the_first(
    client: FlaskClient, submit_ended: SubmitEnded, store: MemoryStore
) -> None:
    first = submit_ended()
    answer = client.post(f"/jobs/{first}/retry", headers={"X-Request-Id": "again.8"})
    assert (answer.json or {})["request_id"] == "again.8"
    assert store.get(first).request_id not in (None, "again.8")


def _retry_job(api: Api) -> Asking:
    client, waiting = api.client(), api.waiting_job()
    others = {
        "404": lambda: client.post("/jobs/nope/retry"),
        "409": lambda: client.post(f"/jobs/{waiting}/retry"),
    }
    return Asking(f"/jobs/{api.ended_job()}/retry", others=others)


DOCUMENTED: Documented = {"POST /jobs/<job_id>/retry": _retry_job}
