"""GET /models… and the answers to a promotion that waits for approval, on a registry that speaks MLflow's REST API."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mypackage.gate.evidence import Evidence
from shared.jobs.promotions import Kind, NewPromotion, Promotion, PromotionState
from shared.promoting import carry_out, look_for_foreign
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import MakeApp

CHAMPION = ("iris", "champion")
NO_MLFLOW = {"mlflow_tracking_uri": "http://127.0.0.1:1"}
FACTS: dict[str, Any] = {
    "challenger": {"model_name": "iris", "metric": "accuracy", "value": 0.85, "metrics": {}, "dataset": None},
    "champion": None,
    "rules": {"lower_is_better": False, "min_delta": 0.0, "min_value": None, "guardrails": []},
}


@dataclass
class Bench:
    """An API, its store, and MLflow; version 2 is champion."""

    api: FlaskClient
    store: MemoryStore
    mlflow: OddMlflow

    def waiting(self, version: str = "3", **values: Any) -> Promotion:
        """A promotion that waits for approval."""
        return self.store.propose(replace(waiting(version), **values), seen=self.store.last_event(*CHAMPION))

    def answer(self, made: Promotion, word: str, reason: str = "as discussed") -> TestResponse:
        """A person's answer to it."""
        return self.api.post(f"/promotions/{made.id}/{word}", json={"reason": reason})


@pytest.fixture
def bench(make_app: MakeApp, store: MemoryStore) -> Iterator[Bench]:
    with odd_mlflow() as mlflow:
        yield Bench(make_app(mlflow_tracking_uri=mlflow.served.url).test_client(), store, mlflow)


def waiting(version: str = "3") -> NewPromotion:
    """What a training with promotion.mode approve leaves."""
    state = PromotionState.AWAITING_APPROVAL
    return NewPromotion(*CHAMPION, Kind.TRAINING, version, "2", state, "job j", "promoted: 0.85 > 0.8", facts=FACTS)


def told(answer: TestResponse) -> dict[str, Any]:
    assert answer.json is not None
    said: dict[str, Any] = answer.json
    return said


def test_models_are_listed_with_champions_versions_and_their_jobs(bench: Bench) -> None:
    said: dict[str, Any] = {
        "name": "iris",
        "champion": "2",
        "aliases": {"champion": "2"},
        "probation": None,
        "waiting": [],
        "last": None,
    }
    assert told(bench.api.get("/models")) == {"models": [said]}
    model = told(bench.api.get("/models/iris"))
    assert (model["champion"], model["previous"]) == ("2", None)
    assert [(each["version"], each["job_id"], each["aliases"]) for each in model["versions"]] == [
        ("2", "job-of-2", ["champion"]),
        ("1", "job-of-1", []),
    ]


def test_the_history_is_paged_and_says_who_was_champion_when(bench: Bench) -> None:
    for version in ("1", "2", "1"):
        bench.api.post("/models/iris/champion", json={"version": version, "reason": f"to {version}"})
    page = told(bench.api.get("/models/iris/history?limit=2"))
    assert [(each["event"], each["reason"]) for each in page["events"]] == [("moved", "to 1"), ("decided", "to 1")]
    rest = told(bench.api.get(page["next"]))["events"]
    assert [each["number"] for each in page["events"] + rest] == [8, 7, 6, 5]
    assert told(bench.api.get("/models/iris/history?limit=200"))["next"] is None
    first = told(bench.api.get("/models/iris/champion"))
    assert (first["version"], first["actor"], first["kind"]) == ("1", "local", "rollback")
    assert told(bench.api.get("/models/iris/champion?at=2001-01-01T00:00:00Z"))["code"] == "CHAMPION_UNKNOWN"
    assert told(bench.api.get("/models/roses/history")) == {"events": [], "next": None}


def test_who_is_approved_becomes_champion_and_the_second_answer_is_told(bench: Bench) -> None:
    made = bench.waiting()
    said = told(bench.answer(made, "approve"))
    assert (said["state"], bench.mlflow.aliases) == ("promoted", {"previous": "2", "champion": "3"})
    late = bench.answer(made, "reject")
    assert (late.status_code, told(late)["code"]) == (409, "PROMOTION_SETTLED")
    assert "promoted" in told(late)["detail"]


def test_who_is_rejected_stays_without_the_alias(bench: Bench) -> None:
    made = bench.waiting()
    assert told(bench.answer(made, "reject"))["state"] == "rejected"
    assert bench.mlflow.aliases == {"champion": "2"}
    assert bench.answer(made, "approve").status_code == 409


@pytest.mark.parametrize(("value", "state"), [(0.9, "not_promoted"), (0.8, "promoted")])
def test_an_approval_after_another_champion_is_decided_against_that_one(bench: Bench, value: float, state: str) -> None:
    look_for_foreign(bench.store, FakeGate(aliases={CHAMPION: "2"}), *CHAMPION)
    made = bench.waiting()
    bench.mlflow.values["4"] = value
    bench.mlflow.aliases["champion"] = "4"
    said = told(bench.answer(made, "approve"))
    assert said["state"] == state
    if state == "promoted":
        assert bench.mlflow.aliases == {"champion": "3", "previous": "4"}
    else:
        assert bench.mlflow.aliases == {"champion": "4"}
        assert "0.85 < 0.9" in told(bench.api.get("/models/iris/history"))["events"][0]["reason"]


def test_an_approval_after_a_champion_that_was_never_scored_on_the_same_data_is_refused(bench: Bench) -> None:
    look_for_foreign(bench.store, FakeGate(aliases={CHAMPION: "2"}), *CHAMPION)
    scores = Evidence("accuracy", 450, 0.85, 0.8, 0.05, 0.04, 0.06, 0.95)
    made = bench.waiting(facts={**FACTS, "evidence": asdict(scores)})
    bench.mlflow.values["4"] = 0.8
    bench.mlflow.aliases["champion"] = "4"
    said = told(bench.answer(made, "approve"))
    assert said["state"] == "not_promoted"
    reason = told(bench.api.get("/models/iris/history"))["events"][0]["reason"]
    assert "version 4, could not be scored on the same data: it became champion after" in reason


def test_an_approval_of_a_version_that_was_deleted_is_told_and_holds_up_nothing(bench: Bench) -> None:
    bench.mlflow.gone.add("3")
    said = told(bench.answer(bench.waiting("3"), "approve"))
    assert (said["state"], bench.mlflow.aliases["champion"]) == ("impossible", "2")
    assert told(bench.answer(bench.waiting("4"), "approve"))["state"] == "promoted"


def test_an_approval_waits_for_no_move_that_its_worker_left(bench: Bench) -> None:
    made = bench.waiting()
    left = replace(waiting("1"), state=PromotionState.MOVING)
    bench.store.propose(left, seen=bench.store.last_event(*CHAMPION))
    assert told(bench.answer(made, "approve"))["state"] == "promoted"
    assert bench.mlflow.aliases == {"champion": "3", "previous": "1"}


def _moved(api: Api) -> None:
    new = replace(waiting(), state=PromotionState.MOVING, before=None)
    made = api.store.propose(new, seen=api.store.last_event(*CHAMPION))
    carry_out(api.store, FakeGate(), made)


def _with_mlflow(path: str, **others: Any) -> Any:
    def asking(api: Api) -> Asking:
        settings = {"mlflow_tracking_uri": api.stack.enter_context(odd_mlflow()).served.url}
        without = {"503": lambda: api.client(**NO_MLFLOW).get(path), "500": lambda: _broken(api, path, settings)}
        return Asking(path, {}, settings, without | {status: ask(api) for status, ask in others.items()})

    return asking


def _broken(api: Api, path: str, settings: dict[str, Any]) -> TestResponse:
    api.monkeypatch.setattr("api.model_registry.ModelRegistry._call", lambda *_args, **_kwargs: 1 / 0)
    return api.client(**settings).get(path)


def _champion(api: Api) -> Asking:
    _moved(api)
    return Asking("/models/iris/champion", others={"404": lambda: api.client().get("/models/roses/champion")})


def _promotion(api: Api) -> Asking:
    made = api.store.propose(waiting(), seen=0)
    return Asking(f"/promotions/{made.id}", others={"404": lambda: api.client().get("/promotions/nothing")})


def _answered(word: str) -> Any:
    def asking(api: Api) -> Asking:
        settings = {"mlflow_tracking_uri": api.stack.enter_context(odd_mlflow()).served.url}
        path, body = f"/promotions/{api.store.propose(waiting(), seen=0).id}/{word}", {"reason": "x"}

        def post(path: str = path, **changes: Any) -> TestResponse:
            return api.client(**{**settings, **changes}).post(path, json=body)

        def twice() -> TestResponse:
            post()
            return post()

        others = {"404": lambda: post(f"/promotions/nothing/{word}"), "409": twice}
        return Asking(path, body, settings, others)

    return asking


DOCUMENTED: Documented = {
    "GET /models": _with_mlflow("/models"),
    "GET /models/<model>": _with_mlflow("/models/iris", **{"404": lambda api: lambda: _other_model(api)}),
    "GET /models/<model>/versions/<version>": _with_mlflow(
        "/models/iris/versions/1", **{"404": lambda api: lambda: api.client().get("/models/a:b/versions/1")}
    ),
    "GET /models/<model>/champion": _champion,
    "GET /models/<model>/history": lambda api: Asking(
        "/models/iris/history", others={"404": lambda: api.client().get("/models/a:b/history")}
    ),
    "GET /promotions/<promotion_id>": _promotion,
    "POST /promotions/<promotion_id>/approve": _answered("approve"),
    "POST /promotions/<promotion_id>/reject": _answered("reject"),
}


def _other_model(api: Api) -> TestResponse:
    return api.client(mlflow_tracking_uri=api.stack.enter_context(odd_mlflow()).served.url).get("/models/roses")
