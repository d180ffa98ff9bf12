"""Who did what: what the API records, and GET /audit."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.access.authentication import SAFE_METHODS
from api.access.refused import MOST_OF_ADDRESS, MOST_OF_CALLER, MOST_OF_NOBODY, WINDOW_SECONDS, Bounded
from api.operations.operation import Operation
from api.views import operations
from shared.access.acts import Act
from shared.access.audit import AuditFilter, NewEntry, Outcome
from shared.access.callers import NOBODY, Caller, CallerKind
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, hint_of, new_token
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.kept_triggers import BY_THE_MINUTE, a_trigger
from tests.unit.api.documented import Api, Asking, Documented, asks
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

DOCUMENTED: Documented = {"GET /audit": lambda _api: Asking("/audit")}
CHANGES = [each for each in operations() if each.method not in SAFE_METHODS]
ONLY_LOOKING = {"checkTrigger", "backtestTrigger", "replayDecisions"}
ELSEWHERE_TRIED = {
    "testAlerts"
}  # without a worker it asks for nothing: tests/integration/store_contract/access/test_audit.py
ELSEWHERE = {"REMOTE_ADDR": "10.1.2.3"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def told(store: MemoryStore) -> list[tuple[str, str, str, str]]:
    """The oldest first."""
    found = reversed(store.list_audit(AuditFilter(), limit=1000))
    return [(each.caller, each.action, each.outcome, each.reason) for each in found]


def holder(store: MemoryStore, role: Role) -> dict[str, str]:
    token = new_token()
    made = NewToken(name="ann", hash=hash_of(token), hint=hint_of(token), roles=frozenset({role}), created_by="env-1")
    store.create_token(made)
    return bearer(token)


def ask(client: FlaskClient, method: str, path: str, **given: Any) -> int:
    """Ask, and let the answer be sent."""
    with client.open(path, method=method, **given) as answer:
        return answer.status_code


def test_a_change_is_recorded_with_its_caller_address_and_request(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="first,second").test_client()
    headers = {**bearer("second"), "X-Request-Id": "r-7"}
    assert ask(client, "POST", "/retrain", json=BODY, headers=headers, environ_base=ELSEWHERE) == 202
    (entry,) = store.list_audit(AuditFilter(), limit=9)
    assert (entry.caller, entry.kind, entry.action, entry.outcome) == ("env-2", "environment", "retrain", "done")
    assert (entry.address, entry.request_id, entry.subject.partition(":")[0]) == ("10.1.2.3", "r-7", "job")


def test_what_is_only_read_or_checked_is_not_recorded(client: FlaskClient, store: MemoryStore) -> None:
    assert ask(client, "GET", "/jobs") == 200
    assert ask(client, "GET", "/jobs/nope") == 404
    assert ask(client, "POST", "/triggers/check", json={"name": "a", "template": BODY, "when": {"every": 60}}) == 200
    assert told(store) == []


def test_a_role_that_may_not_is_recorded_with_what_it_asked_for(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app().test_client()
    headers = holder(store, Role.VIEWER)
    assert ask(client, "POST", "/jobs/abc-1/cancel", json={}, headers=headers) == 403
    assert ask(client, "GET", "/audit", headers=headers) == 403
    assert told(store) == [("ann", "cancelJob", "refused", "FORBIDDEN"), ("ann", "listAudit", "refused", "FORBIDDEN")]
    assert store.list_audit(AuditFilter(action="cancelJob"), limit=9)[0].subject == "job:abc-1"


def test_a_change_that_is_refused_or_fails_is_recorded(client: FlaskClient, store: MemoryStore) -> None:
    assert ask(client, "POST", "/retrain", json={}) == 422
    assert ask(client, "POST", "/jobs/nope/cancel", json={}) == 404
    assert ask(client, "POST", "/models/iris/champion", json={"version": "1", "reason": "x"}) == 503
    assert told(store) == [
        ("local", "retrain", "refused", "VALIDATION_FAILED"),
        ("local", "cancelJob", "refused", "JOB_NOT_FOUND"),
        ("local", "setChampion", "failed", "TRACKING_UNAVAILABLE"),
    ]


@pytest.mark.parametrize("path", ["/jobs/{}/cancel", "/retrain?token={}", "/{}"])
def test_nothing_that_an_unknown_sender_chose_is_kept(make_app: MakeApp, store: MemoryStore, path: str) -> None:
    client, secret = make_app(api_tokens="t").test_client(), "s3cret-t0ken"
    assert ask(client, "POST", path.format(secret), headers=bearer(secret), json={"token": secret}) == 401
    (entry,) = store.list_audit(AuditFilter(), limit=9)
    assert (entry.caller, entry.outcome, entry.reason) == ("nobody", "refused", "UNAUTHORIZED")
    assert secret not in json.dumps(entry.record())


def test_who_signs_is_recorded_as_knowing_the_triggers_secret(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="t").test_client()
    wish = {"name": "drift", "template": BODY, "when": {"signal": {}}, "secret": "its-secret-of-signals"}
    assert ask(client, "POST", "/triggers", json=wish, headers=bearer("t")) == 201
    number = {"metric": "drift_share", "value": 0.3}
    assert ask(client, "POST", "/triggers/drift/signal", json=number, headers=bearer("its-secret-of-signals")) == 200
    assert ask(client, "POST", "/triggers/drift/signal", json=number, headers=bearer("another")) == 401
    assert [each[:3] for each in told(store)] == [
        ("env-1", "addTrigger", "done"),
        ("trigger:drift", "signalTrigger", "done"),
        ("nobody", "signalTrigger", "refused"),
    ]
    assert store.list_audit(AuditFilter(caller="trigger:drift"), limit=9)[0].kind == "signature"


def test_the_list_is_filtered_and_goes_on_where_the_page_ended(client: FlaskClient, store: MemoryStore) -> None:
    for _ in range(3):
        ask(client, "POST", "/retrain", json=BODY)
    ask(client, "POST", "/jobs/nope/cancel", json={})
    first = client.get("/audit?caller=local&action=retrain&outcome=done&limit=2").json or {}
    assert [each["number"] for each in first["entries"]] == [3, 2]
    second = client.get(first["next"]).json or {}
    assert ([each["number"] for each in second["entries"]], second["next"]) == ([1], None)
    assert (client.get("/audit?since=2999-01-01T00:00:00Z").json or {})["entries"] == []
    newest = (client.get("/audit?limit=1").json or {})["entries"]
    assert newest == [store.list_audit(AuditFilter(), limit=1)[0].record()]


def test_a_store_that_is_away_does_not_change_the_answer(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="t").test_client()
    store.down = True
    assert ask(client, "GET", "/jobs") == 401
    store.down = False
    assert told(store) == []


@pytest.fixture
def api(
    make_app: MakeApp,
    submit: Submit,
    claim_job: ClaimJob,
    store: MemoryStore,
    queue: RecordingQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Api]:
    with ExitStack() as stack:
        yield Api(make_app, store, queue, submit, claim_job, monkeypatch, stack)


@pytest.mark.parametrize(
    "operation", [each for each in CHANGES if each.id not in ELSEWHERE_TRIED], ids=lambda each: each.id
)
def test_every_operation_that_changes_something_is_recorded_and_those_that_only_look_are_not(
    api: Api, operation: Operation
) -> None:
    way = asks(operation, api)[str(int(operation.answers[0].status))]
    _let_it_change_something(api.store, operation.id)
    before = len(told(api.store))
    assert way().status_code < 300
    actions = [(action, outcome) for _, action, outcome, _ in told(api.store)[before:]]
    assert ((operation.id, "done") in actions) == (operation.id not in ONLY_LOOKING)


def _let_it_change_something(store: MemoryStore, operation: str) -> None:
    """Bring what the documented request finds into another state than the one that it asks for."""
    names = [trigger.name for trigger in store.list_triggers()]
    match operation:
        case "putTrigger":
            store.change_trigger(names[0], a_trigger(names[0], when=BY_THE_MINUTE))
        case "resumeTrigger":
            store.pause_trigger(names[0], reason="")
        case "resumeTriggers":
            store.pause_triggers(reason="")
        case "undrainHost":
            store.drain(store.list_workers()[0].host.name, reason="")


def refusal(address: str = "10.0.0.1", caller: Caller = NOBODY) -> NewEntry:
    return NewEntry.of(Act(caller, "listJobs", address, "r"), "", outcome=Outcome.REFUSED, reason="UNAUTHORIZED")


def test_who_is_refused_again_and_again_is_counted_and_not_recorded_one_by_one() -> None:
    clock = HeldClock()
    bounded = Bounded(clock.monotonic)
    recorded = [each for _ in range(1000) for each in bounded.choose(refusal())]
    assert recorded == [refusal()] * MOST_OF_ADDRESS
    clock.pass_seconds(WINDOW_SECONDS)
    counted = bounded.choose(None)
    assert {(each.address, each.reason) for each in counted} == {
        ("10.0.0.1", f"{MOST_OF_NOBODY - MOST_OF_ADDRESS} more within a minute"),
        ("", f"{1000 - MOST_OF_NOBODY} more within a minute"),
    }
    assert bounded.choose(refusal()) == [refusal()]


def test_many_addresses_are_no_way_around_and_take_no_room_from_those_who_are_known() -> None:
    bounded = Bounded(HeldClock().monotonic)
    recorded = [each for number in range(500) for each in bounded.choose(refusal(f"10.0.{number}.1"))]
    assert len(recorded) == MOST_OF_NOBODY
    ann = Caller("ann", CallerKind.TOKEN)
    known = [each for _ in range(100) for each in bounded.choose(refusal(caller=ann))]
    assert len(known) == MOST_OF_CALLER
