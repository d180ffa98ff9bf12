"""POST /retrain: what is accepted, recorded and sent."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.submission import payload_hash
from shared.errors import StoreUnavailable
from shared.jobs.model import JobState, NewJob
from shared.jobs.records import Ending, Submission
from shared.secrets.vault import Vault
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job
from tests.support.log_lines import Log
from tests.unit.api.documented import Asking, Documented
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp, Submit

TOKEN = "ghp_0123456789abcdef"
PRIVATE = f"https://{TOKEN}@github.com/user/iris.git"


def test_a_request_is_recorded_then_sent_and_answered_with_its_job(
    client: FlaskClient, store: MemoryStore, queue: RecordingQueue
) -> None:
    answer = client.post("/retrain", json=BODY)
    assert answer.status_code == 202
    assert answer.json
    job = store.get(answer.json["id"])
    assert answer.headers["Location"] == f"/jobs/{job.id}"
    assert answer.json["state"] == "queued"
    assert queue.sent == [job.id]


def test_the_job_keeps_the_id_of_its_request_and_one_line_has_both(
    client: FlaskClient, store: MemoryStore, log: Log
) -> None:
    answer = client.post("/retrain", json=BODY, headers={"X-Request-Id": "nightly.7"})
    job_id = (answer.json or {})["id"]
    assert store.get(job_id).request_id == "nightly.7"
    assert (client.get(f"/jobs/{job_id}").json or {})["request_id"] == "nightly.7"
    [line] = log.objects
    assert (line["message"], line["job_id"], line["request_id"]) == ("job accepted", job_id, "nightly.7")


def test_no_other_text_than_a_sane_id_gets_into_a_job(client: FlaskClient, store: MemoryStore) -> None:
    answer = client.post("/retrain", json=BODY, headers={"X-Request-Id": "a b"})
    assert store.get((answer.json or {})["id"]).request_id == answer.headers["X-Request-Id"] != "a b"


def test_a_job_that_was_not_sent_is_told_of_with_its_request(
    client: FlaskClient, queue: RecordingQueue, log: Log
) -> None:
    queue.down = True
    job_id = (client.post("/retrain", json=BODY, headers={"X-Request-Id": "nightly.7"}).json or {})["id"]
    assert {(line["job_id"], line["request_id"]) for line in log.objects} == {(job_id, "nightly.7")}
    assert len(log.objects) == 2


def test_the_predecessors_body_works_unchanged(submit: Submit) -> None:
    job = submit(MLproject_location="a/b", commit_hash="main", dataset_uri="", base_model="")
    assert job["request"]["MLproject_location"] == "a/b"
    assert job["request"]["dataset_repo"] is None
    assert job["request"]["base_model"] is None


def test_a_token_in_git_uri_is_kept_only_in_the_vault(
    submit: Submit, claim_job: ClaimJob, store: MemoryStore, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    job = submit(git_uri=PRIVATE)
    assert job["request"]["git_uri"] == "https://github.com/user/iris.git"
    assert TOKEN not in str(job) + str(store.get(job["id"])) + caplog.text
    secrets = vault.open(store.secret(claim_job(job["id"])))
    assert secrets.source is not None
    assert TOKEN in secrets.source.secrets


@pytest.mark.parametrize("field", ["git_uri", "dataset_repo", "experiment_name", "MLproject_location"])
@pytest.mark.parametrize("value", [f"https://{TOKEN}@ho st/x", f"ftp://{TOKEN}@host/x", f"https://{TOKEN}@host/x?a#b"])
def test_a_token_in_a_wrong_request_is_neither_answered_nor_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, field: str, value: str
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = client.post("/retrain", json={**BODY, field: value})
    assert answer.status_code == 422
    assert TOKEN not in answer.text + str(answer.headers) + caplog.text
    assert answer.json
    assert answer.json["errors"][0]["pointer"] == f"/{field}"


def test_a_job_is_accepted_while_redis_is_down_and_left_to_the_sweep(
    submit: Submit, store: MemoryStore, queue: RecordingQueue
) -> None:
    queue.down = True
    job = submit()
    sendable = store.take_sendable(HOST, resend_after_seconds=3600)
    assert [waiting.id for waiting in sendable] == [job["id"]]


def test_a_recorded_job_is_accepted_even_if_the_store_fails_right_after(
    make_app: MakeApp, store: MemoryStore, queue: RecordingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(job_id: str) -> None:
        raise StoreUnavailable(f"gone before {job_id}")

    queue.down = True
    monkeypatch.setattr(store, "unmark_sent", fail)
    assert make_app().test_client().post("/retrain", json=BODY).status_code == 202


def test_the_same_key_and_body_answer_the_same_job_and_send_nothing(client: FlaskClient, queue: RecordingQueue) -> None:
    first = client.post("/retrain", json=BODY, headers={"Idempotency-Key": "k"})
    again = client.post("/retrain", json={**BODY, "priority": 4}, headers={"Idempotency-Key": "k"})
    assert again.status_code == 202
    assert first.json
    assert again.json
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(queue.sent) == 1


def test_a_key_is_kept_for_what_was_asked_and_not_for_defaults_that_another_version_has_more_of(
    client: FlaskClient, store: MemoryStore
) -> None:
    first = client.post("/retrain", json=BODY, headers={"Idempotency-Key": "k"})
    again = store.submit(new_job(), idempotency_key="k", payload_hash=payload_hash(BODY))
    assert (again.created, again.job.id) == (False, (first.json or {})["id"])


def test_what_was_not_sent_is_another_request_than_its_word_for_nothing(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/retrain", json=BODY, headers=headers)
    again = client.post("/retrain", json={**BODY, "base_model": "", "dataset_uri": ""}, headers=headers)
    assert (first.json or {})["id"] == (again.json or {})["id"]
    assert client.post("/retrain", json={**BODY, "base_model": "None"}, headers=headers).status_code == 422


def test_the_same_key_with_another_token_is_the_same_request(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/retrain", json={**BODY, "git_uri": PRIVATE}, headers=headers)
    again = client.post("/retrain", json={**BODY, "git_uri": PRIVATE.replace("ghp", "new")}, headers=headers)
    assert first.json
    assert again.json
    assert again.json["id"] == first.json["id"]


def test_the_same_key_with_another_body_is_refused(client: FlaskClient) -> None:
    client.post("/retrain", json=BODY, headers={"Idempotency-Key": "k"})
    answer = client.post("/retrain", json={**BODY, "priority": 5}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert answer.json
    assert answer.json["code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ".encode().decode("latin-1")])
def test_a_key_that_is_no_printable_ascii_of_255_characters_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.post("/retrain", json=BODY, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json
    [error] = answer.json["errors"]
    assert (error["in"], error["pointer"]) == ("header", "/Idempotency-Key")


def test_a_job_waits_as_long_as_its_request_says_else_as_the_setting_says(
    make_app: MakeApp, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float | None] = []
    submit = store.submit

    def note(new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        taken.append(new.queue_timeout_seconds)
        return submit(new, idempotency_key=idempotency_key, payload_hash=payload_hash)

    monkeypatch.setattr(store, "submit", note)
    client = make_app(queue_timeout_seconds=50).test_client()
    client.post("/retrain", json=BODY)
    client.post("/retrain", json={**BODY, "timeouts": {"queue_seconds": 7}})
    assert taken == [50, 7]


def test_a_job_gets_the_operators_gpus_unless_its_request_says_otherwise_and_keeps_them_when_repeated(
    make_app: MakeApp, store: MemoryStore
) -> None:
    client = make_app(default_gpus=1).test_client()

    def gpus(**resources: Any) -> int:
        answer = client.post("/retrain", json={**BODY, "resources": resources} if resources else BODY)
        assert answer.json
        recorded = int(answer.json["request"]["resources"]["gpus"])
        assert store.get(answer.json["id"]).gpus == recorded
        client.post(f"/jobs/{answer.json['id']}/cancel")
        again = client.post(f"/jobs/{answer.json['id']}/retry").json
        assert again
        assert again["request"]["resources"]["gpus"] == recorded
        return recorded

    assert [gpus(), gpus(memory="8g"), gpus(gpus=0), gpus(gpus=2)] == [1, 1, 0, 2]


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:10.0.0.1]", "169.254.169.254", "localhost."])
def test_an_address_inside_is_refused_at_once_naming_the_setting(make_app: MakeApp, host: str) -> None:
    body = {**BODY, "git_uri": f"https://token@{host}/a.git"}
    answer = make_app().test_client().post("/retrain", json=body)
    assert answer.status_code == 422
    assert answer.json
    assert "GIT_HOSTS" in answer.json["errors"][0]["message"]
    named = make_app(git_hosts=host.strip("[]")).test_client()
    assert named.post("/retrain", json=body).status_code == 202


@pytest.mark.parametrize(
    ("git_uri", "setting"),
    [("http://git.example.org/a.git", "GIT_SCHEMES"), ("https://github.com/a/b.git", "GIT_HOSTS")],
)
def test_an_address_that_the_operator_does_not_allow_is_refused_naming_the_setting(
    make_app: MakeApp, queue: RecordingQueue, git_uri: str, setting: str
) -> None:
    client = make_app(git_hosts="Git.example.org").test_client()
    answer = client.post("/retrain", json={**BODY, "git_uri": git_uri})
    assert answer.status_code == 422
    assert answer.json
    [error] = answer.json["errors"]
    assert error["pointer"] == "/git_uri"
    assert setting in error["message"]
    assert not queue.sent
    assert client.post("/retrain", json={**BODY, "git_uri": "https://git.example.org/a.git"}).status_code == 202


def test_a_job_may_name_its_alert_channels_and_never_learns_their_addresses(make_app: MakeApp) -> None:
    client = make_app(alert_webhooks="team-a=json:https://hooks.example/hunter2,ci=json:https://b").test_client()
    alerts = {"to": ["team-a", "ci"], "events": ["succeeded", "failed"]}
    job = client.post("/retrain", json={**BODY, "alerts": alerts}).json
    assert job
    assert job["request"]["alerts"] == {"to": ["ci", "team-a"], "events": ["failed", "succeeded"]}
    refused = client.post("/retrain", json={**BODY, "alerts": {"to": ["team-b"]}})
    assert refused.json
    assert refused.json["detail"] == "alerts.to names no alert channel of this service: team-b; known are ci, team-a"
    assert "hunter2" not in f"{job} {refused.text}"


@pytest.mark.parametrize(
    ("resources", "pointer"), [({"memory": "5g"}, "/resources/memory"), ({"cpus": 2.5}, "/resources/cpus")]
)
def test_a_request_for_more_than_any_attempt_may_have_is_refused_at_once(
    make_app: MakeApp, resources: dict[str, Any], pointer: str
) -> None:
    client = make_app(attempt_memory_most_bytes=4 * 2**30, attempt_cpus_most=2).test_client()
    answer = client.post("/retrain", json={**BODY, "resources": resources})
    assert answer.status_code == 422
    assert answer.json
    assert [(each["pointer"], each["code"]) for each in answer.json["errors"]] == [(pointer, "OVER_MAXIMUM")]
    assert client.post("/retrain", json={**BODY, "resources": {"memory": "4g", "cpus": 2.0}}).status_code == 202


def test_a_job_whose_alert_channel_was_removed_is_repeated_all_the_same(
    make_app: MakeApp, claim_job: ClaimJob, store: MemoryStore
) -> None:
    before = make_app(alert_webhooks="team-a=json:https://hooks.example").test_client()
    job = before.post("/retrain", json={**BODY, "alerts": {"to": ["team-a"]}}).json
    assert job
    store.finish(claim_job(job["id"]), Ending(JobState.SUCCEEDED))
    assert make_app().test_client().post(f"/jobs/{job['id']}/retry").status_code == 202


DOCUMENTED: Documented = {"POST /retrain": lambda _: Asking("/retrain", BODY)}
