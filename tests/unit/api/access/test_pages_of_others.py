"""With TEAMS_ISOLATED, no page shows what another team owns, and no form acts on it: every page that there is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from shared.access.roles import Role
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from tests.fakes.store import MemoryStore
from tests.support.jobs import SUCCEEDED, a_host, try_claim
from tests.support.servers.odd_mlflow import odd_mlflow
from tests.unit.api.access.callers import sent_by
from tests.unit.api.ui.browser import form_token
from tests.unit.conftest import BODY, MakeApp

HOST = "gpu-1"
MARK = "sekrit"  # in every name that the other team gave
MODEL, TRIGGER = f"model-{MARK}", f"trigger-{MARK}"
REQUEST = BODY | {
    "experiment_name": f"experiment {MARK}",
    "git_uri": f"https://git.example.com/{MARK}.git",
    "parameters": {"learning_rate": MARK},
    "model_name": MODEL,
    "run_name": f"run {MARK}",
    "labels": {MARK: MARK},
}
PROMOTION = NewPromotion(MODEL, "champion", Kind.TRAINING, "3", "2", PromotionState.AWAITING_APPROVAL, "job", MARK)
NOT_A_PAGE = {"ui.static", "ui.live", "ui.log_growth"}  # the streams are asked for below
DEFINITION = json.dumps({"template": BODY, "when": {"cron": "30 2 * * *"}})
FIELDS = {"priority": "5", "reason": "why", "version": "1", "definition": DEFINITION}  # without which a form is refused
OF_NO_TEAM = {"host"}  # whose jobs are left out, though


@dataclass
class Two:
    """A browser, and the headers of a team that owns one of each thing, and of one that owns nothing."""

    browser: FlaskClient
    owners: dict[str, str]
    others: dict[str, str]
    things: dict[str, list[str]]

    def addresses(self, method: str) -> Iterator[tuple[Rule, str]]:
        """Every page, or every form's address, about each of the team's things."""
        for rule in self.browser.application.url_map.iter_rules():
            if rule.rule.startswith("/ui") and rule.endpoint not in NOT_A_PAGE and method in (rule.methods or ()):
                named = {"name": self.things["trigger"]} | self.things
                for values in product(*(named[each] for each in sorted(rule.arguments))):
                    built = rule.build(dict(zip(sorted(rule.arguments), values, strict=True)))
                    assert built
                    yield rule, built[1]


@pytest.fixture
def two(make_app: MakeApp, store: MemoryStore) -> Iterator[Two]:
    with odd_mlflow() as mlflow:
        app = make_app(teams_isolated=True, mlflow_tracking_uri=mlflow.served.url)
        browser, roles = app.test_client(), (Role.OPERATOR, Role.SUBMITTER, Role.APPROVER)
        owners = sent_by(store, f"ann-{MARK}", *roles, team=f"team-{MARK}")
        jobs = [(browser.post("/retrain", json=REQUEST, headers=owners).json or {})["id"] for _ in range(2)]
        claim = try_claim(store, jobs[0], host=a_host(HOST))
        assert claim
        store.started(claim, runner="docker", container="c")
        store.append_log(claim, MARK.encode(), source_offset=len(MARK))
        store.finish(claim, SUCCEEDED)
        trigger = {"name": TRIGGER, "template": REQUEST, "when": {"cron": "30 2 * * *"}}
        assert browser.post("/triggers", json=trigger, headers=owners).status_code == 201
        promotion = store.propose(replace(PROMOTION, approval_seconds=3600), seen=0).id
        things = {"job_id": jobs, "trigger": [TRIGGER], "model": [MODEL], "promotion_id": [promotion]}
        things |= {"version": ["1"], "host": [HOST]}
        yield Two(browser, owners, sent_by(store, "ben", *roles, team="speech"), things)


def is_about_a_thing(rule: Rule) -> bool:
    return bool(rule.arguments - OF_NO_TEAM)


def test_no_page_shows_what_another_team_owns(two: Two) -> None:
    shown, wrong = set[str](), list[str]()
    for rule, address in two.addresses("GET"):
        if MARK in two.browser.get(address, headers=two.owners).text:
            shown.add(rule.endpoint)
        theirs = two.browser.get(address, headers=two.others)
        text = theirs.text
        for asked in {part for part in address.split("/") if len(part) > 1}:
            text = text.replace(asked, "?")
        wrong += [address] if MARK in text or any(job in text for job in two.things["job_id"]) else []
        wrong += [f"{address}: {theirs.status}"] if is_about_a_thing(rule) and theirs.status_code != 404 else []
    assert wrong == []
    assert {"ui.overview", "ui.jobs", "ui.job", "ui.log_part", "ui.triggers", "ui.models", "ui.usage"} <= shown, shown


def test_no_form_acts_on_what_another_team_owns(two: Two) -> None:
    token = form_token(two.browser.get("/ui/sign-in"))
    wrong = [
        f"{address}: {answer.status}"
        for rule, address in two.addresses("POST")
        if is_about_a_thing(rule)
        and (answer := two.browser.post(address, data={"csrf": token, **FIELDS}, headers=two.others)).status_code != 404
    ]
    assert wrong == []


def test_no_stream_tells_of_what_another_team_owns(two: Two) -> None:
    job_id = two.things["job_id"][0]
    for address in (f"/ui/live?of=job:{job_id}", f"/ui/jobs/{job_id}/log/stream"):
        assert two.browser.get(address, headers=two.others).status_code == 404
