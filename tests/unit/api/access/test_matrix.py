"""Who may do what: each route of the API for each role, on one's own, one's team's and another team's, isolated or not.

The routes are those of /openapi.json. A route without a rule here fails.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared.access.roles import Right, Role
from tests.unit.api.access.scene import NIGHTLY, Scene, Whose, make_scene
from tests.unit.conftest import BODY, HOST

READ, SUBMIT, OPERATE, APPROVE, ADMINISTER = Right
ALLOWED = "allowed"
REASON = {"reason": "because"}


Thing = Callable[[Scene, Role | None, Whose], str]


@dataclass(frozen=True)
class Rule:
    """What a caller needs: the right; of another's thing the operator's; of what is nobody's, to be of no team."""

    right: Right | None
    of: Thing | None = None  # what the path names; None for nothing that anybody owns
    is_own: bool = False  # others than operators change only their own
    is_teams: bool = False  # it runs with the rights of its team, so only that changes it
    is_nobodys: bool = False  # belongs to no team
    body: Mapping[str, Any] | None = None

    def wanted(self, role: Role | None, whose: Whose, *, isolated: bool) -> int | str:
        """Return the status, or that it is allowed. The admin is of the same team as the others, and of all."""
        if self.right is None:
            return ALLOWED
        if role is None:
            return 401
        is_admin = role is Role.ADMIN
        if self.right not in role.rights or (self.is_nobodys and isolated and not is_admin):
            return 403
        if self.of is None or is_admin:
            return ALLOWED
        if isolated and whose is Whose.OTHERS:
            return 404
        lacks_own = self.is_own and whose is not Whose.OWN and OPERATE not in role.rights
        return 403 if lacks_own or (self.is_teams and whose is Whose.OTHERS) else ALLOWED


OPEN = Rule(None)
JOB, ENDED_JOB, TRIGGER, MODEL = Scene.job, Scene.ended_job, Scene.trigger, Scene.model
PROMOTION, TOKEN = Scene.promotion, Scene.token
RULES = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /version": OPEN,
    "GET /.well-known/security.txt": OPEN,
    "POST /hooks/github": OPEN,  # what is sent is signed
    "POST /hooks/gitlab": OPEN,
    "POST /hooks/gitea": OPEN,
    "POST /hooks/mlflow": OPEN,
    "GET /whoami": Rule(READ),
    "GET /jobs": Rule(READ),
    "POST /retrain": Rule(SUBMIT, body=BODY),
    "GET /jobs/{job_id}": Rule(READ, JOB),
    "GET /jobs/{job_id}/logs": Rule(READ, JOB),
    "GET /jobs/{job_id}/metrics": Rule(READ, JOB),
    "POST /jobs/{job_id}/cancel": Rule(SUBMIT, JOB, is_own=True),
    "POST /jobs/{job_id}/priority": Rule(SUBMIT, JOB, is_own=True, body={"priority": 9}),
    "POST /jobs/{job_id}/retry": Rule(SUBMIT, ENDED_JOB, is_own=True),
    "GET /triggers": Rule(READ),
    "POST /triggers": Rule(OPERATE, body={**NIGHTLY, "name": "{new}"}),
    "POST /triggers/check": Rule(SUBMIT, body={**NIGHTLY, "name": "{new}"}),
    "POST /triggers/backtest": Rule(READ, body={**NIGHTLY, "since": "{yesterday}"}),
    "POST /triggers/pause": Rule(OPERATE, is_nobodys=True),
    "POST /triggers/resume": Rule(OPERATE, is_nobodys=True),
    "GET /triggers/{name}": Rule(READ, TRIGGER),
    "PUT /triggers/{name}": Rule(OPERATE, TRIGGER, is_teams=True, body=NIGHTLY),
    "DELETE /triggers/{name}": Rule(OPERATE, TRIGGER),
    "GET /triggers/{name}/events": Rule(READ, TRIGGER),
    "POST /triggers/{name}/fire": Rule(OPERATE, TRIGGER),
    "POST /triggers/{name}/pause": Rule(OPERATE, TRIGGER),
    "POST /triggers/{name}/resume": Rule(OPERATE, TRIGGER),
    "POST /triggers/{name}/signal": Rule(SUBMIT, TRIGGER, body={"metric": "drift", "value": 0.5}),
    "GET /models": Rule(READ),
    "GET /models/{model}": Rule(READ, MODEL),
    "GET /models/{model}/history": Rule(READ, MODEL),
    "GET /models/{model}/versions/{version}": Rule(READ, MODEL),
    "GET /models/{model}/champion": Rule(READ, MODEL),
    "POST /models/{model}/champion": Rule(APPROVE, MODEL, body={**REASON, "version": "1"}),
    "PUT /models/{model}/team": Rule(ADMINISTER, MODEL, body={"team": "vision"}),
    "GET /models/{model}/observations": Rule(READ, MODEL),
    "POST /models/{model}/observations": Rule(OPERATE, MODEL, body={"metric": "accuracy", "value": 0.5}),
    "POST /models/{model}/replay": Rule(READ, MODEL),
    "GET /promotions/{promotion_id}": Rule(READ, PROMOTION),
    "POST /promotions/{promotion_id}/approve": Rule(APPROVE, PROMOTION, body=REASON),
    "POST /promotions/{promotion_id}/reject": Rule(APPROVE, PROMOTION, body=REASON),
    "GET /workers": Rule(READ),
    "POST /workers/{host}/drain": Rule(OPERATE, is_nobodys=True),
    "DELETE /workers/{host}/drain": Rule(OPERATE, is_nobodys=True),
    "GET /alerts": Rule(READ),
    "GET /alerts/channels": Rule(READ),
    "POST /alerts/test": Rule(OPERATE, is_nobodys=True),
    "GET /usage": Rule(READ),
    "GET /statistics": Rule(READ, is_nobodys=True),
    "GET /audit": Rule(ADMINISTER),
    "GET /tokens": Rule(ADMINISTER),
    "POST /tokens": Rule(ADMINISTER, body={"name": "{new}", "roles": ["viewer"]}),
    "GET /tokens/{name}": Rule(ADMINISTER, TOKEN),
    "DELETE /tokens/{name}": Rule(ADMINISTER, TOKEN),
    "POST /tokens/{name}/rotate": Rule(ADMINISTER, TOKEN),
}
NOT_OPERATIONS = {"/", "/docs", "/docs/start.js", "/docs/swagger/<path:name>", "/metrics", "/openapi.json"}
UNKNOWN = "0f7dbd6e-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def scenes() -> Mapping[bool, Scene]:
    """With and without isolation."""
    return {isolated: make_scene(isolated=isolated) for isolated in (False, True)}


def routes() -> list[str]:
    document = make_scene(isolated=False).client.get("/openapi.json").json or {}
    methods = ("get", "post", "put", "delete", "patch")
    return [f"{each.upper()} {path}" for path, of in document["paths"].items() for each in of if each in methods]


ROUTES = routes()


def ask(scene: Scene, route: str, role: Role | None, thing: str) -> TestResponse:
    method, _, path = route.partition(" ")
    words = {"{new}": f"x{next(scene.numbers)}", "{yesterday}": f"{datetime.now(UTC) - timedelta(days=1):%FT%TZ}"}
    body = {name: words.get(str(value), value) for name, value in (RULES[route].body or {}).items()}
    path = path.replace("{version}", "1")
    for place in ("{job_id}", "{name}", "{model}", "{promotion_id}"):
        path = path.replace(place, thing)
    given: dict[str, Any] = {"json": body} if method != "GET" and (body or "DELETE" not in method) else {}
    headers = scene.tokens[role] if role else {}
    return scene.client.open(path.replace("{host}", HOST.name), method=method, headers=headers, **given)


def outcome(answer: TestResponse, rule: Rule) -> int | str:
    """What became of it; what MLflow would be asked about, and a state that refuses it, is allowed, too."""
    code = str((answer.json or {}).get("code")) if answer.is_json else ""
    if answer.status_code < 300 or code in ("TRACKING_UNAVAILABLE", "NOT_READY"):
        return ALLOWED
    is_late = answer.status_code == 409 or code in ("CHAMPION_UNKNOWN", "NO_ALERT_CHANNEL", "NO_SECURITY_CONTACT")
    return ALLOWED if is_late or (rule.right is None and code == "NOT_SIGNED") else answer.status_code


def said(answer: TestResponse, name: str) -> tuple[str, str]:
    """What a problem says, whatever the thing is called."""
    problem = answer.json or {}
    return str(problem["code"]), str(problem["detail"]).replace(name, "?")


def test_every_route_has_a_rule() -> None:
    assert sorted(RULES) == sorted(ROUTES)
    rules = make_scene(isolated=False).client.application.url_map.iter_rules()
    templates = {re.sub(r"<(\w+)>", r"{\1}", each.rule) for each in rules if not each.rule.startswith("/ui/")}
    assert templates - {route.split()[1] for route in ROUTES} == NOT_OPERATIONS


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_do_it(route: str, scenes: Mapping[bool, Scene]) -> None:
    rule, wrong = RULES[route], []
    for isolated, role, whose in product((False, True), (None, *Role), Whose if RULES[route].of else (Whose.OWN,)):
        scene = scenes[isolated]
        thing = rule.of(scene, role, whose) if rule.of else ""
        answer = ask(scene, route, role, thing)
        found, wanted = outcome(answer, rule), rule.wanted(role, whose, isolated=isolated)
        if found != wanted:
            wrong.append(f"{role or 'nobody'}, {whose} thing, {isolated=}: {found}, not {wanted} ({answer.text[:200]})")
        if wanted == 404:
            told, told_of_none = said(answer, thing), said(ask(scene, route, role, UNKNOWN), UNKNOWN)
            wrong += [f"{whose} thing: {told}; what there is not: {told_of_none}"] if told != told_of_none else []
    assert wrong == []
