"""POST /triggers/backtest compares policies over what is known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.jobs.model import JobState
from shared.jobs.records import Ending, Resolution
from shared.jobs.triggers import Occurrence
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, ClaimJob, Submit

PATH = "/triggers/backtest"
NIGHTLY = {"template": BODY, "when": {"cron": "30 2 * * *"}}


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def ask(client: FlaskClient, **body: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"since": ago(30), **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json or {}
    return found


def test_policies_are_compared_side_by_side(client: FlaskClient) -> None:
    policies = {"weekly": {"cooldown": 7 * 86400 - 60}, "weekend": {"window": {"days": ["sat", "sun"]}}}
    template = {**BODY, "resources": {"gpus": 2, "cpus": 4.0}}
    found = ask(client, **{**NIGHTLY, "template": template}, policies=policies, job_seconds=1800)
    jobs = {name: each["jobs"] for name, each in found["policies"].items()}
    assert jobs["policy"] == 30
    assert jobs["weekly"] in (4, 5)
    assert 8 <= jobs["weekend"] <= 10
    assert found["policies"]["policy"]["gpu_hours"] == 30
    assert found["policies"]["weekly"]["skipped"] == {"cooldown": 30 - jobs["weekly"]}
    assert found["picture"].startswith("<svg")
    assert "weekend" in found["picture"]


def test_past_jobs_tell_how_long_one_takes_and_what_they_trained_on(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    for commit in ("a" * 40, "b" * 40):
        claim = claim_job(submit(**BODY)["id"])
        store.resolve(claim, Resolution(commit, "python:3.11", "sha256:1", "3", "run1"))
        store.started(claim, runner="docker", container="abc")
        store.finish(claim, Ending(JobState.SUCCEEDED))
    found = ask(client, **NIGHTLY)
    assert 0 < found["job_seconds"] < 60
    assert (found["code_changes"], found["data_changes"]) == (2, 0)


def test_changes_that_are_sent_come_as_the_dataset_changed(client: FlaskClient) -> None:
    changes = [{"at": ago(days), "revision": str(days)} for days in (40, 20, 10, 3)]
    when = {"dataset": {"address": "https://github.com/user/iris-data.git@main"}}
    found = ask(client, template=BODY, when=when, changes=changes, job_seconds=3600)
    [result] = found["policies"].values()
    assert result["jobs"] == 3
    assert 3600 <= result["longest_without_change_seconds"] <= 3600 + 600
    assert [mark["outcome"] for mark in result["timeline"]] == ["fired"] * 3


def test_a_recorded_trigger_is_tried_with_its_policy_and_what_came_to_it(
    client: FlaskClient, store: MemoryStore
) -> None:
    body = {"name": "drifted", "template": BODY, "when": {"signal": {}}, "policy": {"cooldown": 3600}}
    assert client.post("/triggers", json=body).status_code == 201
    for days in (1, 2, 3):
        store.report("drifted", Occurrence(f"signal {days}", datetime.now(UTC) - timedelta(days=days)))
    found = ask(client, trigger="drifted", policies={"daily": {"cooldown": 86400 * 2}})
    assert {name: each["jobs"] for name, each in found["policies"].items()} == {"policy": 3, "daily": 2}


@pytest.mark.parametrize(
    "body",
    [
        {**NIGHTLY, "since": ago(400)},
        {**NIGHTLY, "since": ago(-1)},
        {**NIGHTLY, "when": {"every": 10}, "since": ago(30)},
        {"since": ago(30)},
        {"template": BODY, "since": ago(30)},
        {**NIGHTLY, "since": ago(30), "policies": {str(n): {} for n in range(9)}},
        {**NIGHTLY, "since": ago(30), "changes": [{"at": "yesterday", "revision": "a"}]},
    ],
)
def test_what_cannot_be_tried_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    assert client.post(PATH, json=body).status_code == 422


def test_a_template_is_not_shown_with_its_credentials(client: FlaskClient) -> None:
    private = {**BODY, "git_uri": "https://ghp_0123456789abcdef@github.com/user/iris.git"}
    answer = client.post(PATH, json={"since": ago(3), "template": private, "when": {"every": 3600}})
    assert answer.status_code == 200
    assert "ghp_0123456789abcdef" not in answer.text


def _asking(api: Api) -> Asking:
    unknown = {"trigger": "gone", "since": ago(3)}
    others = {"404": lambda: api.client().post(PATH, json=unknown)}
    return Asking(PATH, {**NIGHTLY, "since": ago(3)}, others=others)


DOCUMENTED: Documented = {f"POST {PATH}": _asking}
