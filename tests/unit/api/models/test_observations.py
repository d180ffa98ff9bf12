"""What monitoring reports about a champion, on a registry that speaks MLflow's REST API."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import MakeApp

PATH = "/models/iris/observations"
RULE = {
    "seconds": 3600,
    "metric": "accuracy",
    "lower_is_better": False,
    "max_worsening": 0.05,
    "reference": 0.9,
}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@dataclass
class Bench:
    """An API, its store on a clock of its own, and MLflow; version 3 is champion on probation, 2 was it before."""

    api: FlaskClient
    store: MemoryStore
    mlflow: OddMlflow
    clock: HeldClock

    def send(self, value: Any, **body: Any) -> TestResponse:
        """Report a value."""
        return self.api.post(PATH, json={"metric": "accuracy", "value": value, **body})

    def kinds(self) -> list[tuple[str, str, str | None]]:
        """The history, the newest first."""
        return [(each.event, each.kind, each.version) for each in self.store.history("iris", limit=99)]


@pytest.fixture
def bench(make_app: MakeApp, store: MemoryStore, clock: HeldClock) -> Iterator[Bench]:
    store._clock = clock
    with odd_mlflow() as mlflow:
        begin(store)
        mlflow.aliases = {"champion": "3", "previous": "2"}
        yield Bench(make_app(mlflow_tracking_uri=mlflow.served.url).test_client(), store, mlflow, clock)


def begin(store: MemoryStore, version: str = "3", before: str | None = "2") -> Promotion:
    """Record that the version became champion on probation."""
    new = NewPromotion(
        *("iris", "champion", Kind.TRAINING, version, before, PromotionState.MOVING, "job j", "better"),
        facts={"probation": RULE},
    )
    return store.carried_out(store.propose(new, seen=store.last_event("iris", "champion")).id)


def told(answer: TestResponse) -> dict[str, Any]:
    assert answer.json is not None
    said: dict[str, Any] = answer.json
    return said


def test_a_good_value_leaves_the_champion_and_is_shown(bench: Bench) -> None:
    answer = bench.send(0.88, version=3, n=450, at="2029-12-31T23:59:59+00:00")
    assert (answer.status_code, told(answer)["verdict"]) == (200, "not_judged")
    said = told(bench.send(0.88, version="3", n=450))
    assert (said["verdict"], said["champion"], said["version"], said["n"]) == ("holds", "3", "3", 450)
    assert said["reason"] == "accuracy 0.88 is worse than 0.9 by 0.02, and 0.05 is allowed"
    shown = told(bench.api.get("/models/iris"))["probation"]
    assert (shown["metric"], shown["direction"], shown["until"]) == (
        "accuracy",
        "higher_is_better",
        "2030-01-01T01:00:00Z",
    )
    assert (shown["reference"], shown["bound"], shown["observations"], shown["broken"]) == (0.9, 0.85, 1, 0)
    assert told(bench.api.get("/models"))["models"][0]["probation"] == shown
    page = told(bench.api.get(f"{PATH}?limit=1"))
    assert [each["number"] for each in page["observations"]] == [2]
    rest = told(bench.api.get(page["next"]))
    assert ([each["number"] for each in rest["observations"]], rest["next"]) == ([1], None)
    assert told(bench.api.get(f"{PATH}?metric=loss"))["observations"] == []


def test_a_bad_value_makes_the_version_before_champion_again(bench: Bench) -> None:
    said = told(bench.send(0.7, version="3", n=450))
    assert (said["verdict"], said["champion"]) == ("broken", "2")
    assert bench.mlflow.aliases == {"champion": "2", "previous": "3"}
    line = bench.store.history("iris", limit=1)[0]
    assert (line.event, line.kind, line.version, line.before) == (Event.MOVED, Kind.PROBATION, "2", "3")
    assert line.actor == "probation (observed by local)"
    assert line.reason == (
        "version 3 broke its probation: accuracy 0.7 is worse than 0.9 by 0.2, and 0.05 is allowed "
        "(at 2030-01-01T00:00:00+00:00, n 450)"
    )
    assert told(bench.api.get("/models/iris"))["probation"] is None
    bench.clock.pass_seconds(1)
    again = bench.send(0.7, version="3", n=450)
    assert (again.status_code, told(again)["code"]) == (409, "NOT_CHAMPION")
    assert "version 2 is" in told(again)["detail"]


def test_a_report_whose_answer_was_lost_is_answered_again(bench: Bench) -> None:
    report = {"value": 0.7, "at": "2030-01-01T00:00:00Z"}
    first = told(bench.send(**report))
    bench.clock.pass_seconds(1)
    assert told(bench.send(**report)) == first
    assert (first["version"], first["champion"], first["verdict"]) == ("3", "2", "broken")
    assert len(bench.store.observations("iris", limit=9)) == 1


def test_a_report_that_is_repeated_is_recorded_and_acted_on_once(bench: Bench) -> None:
    at = "2030-01-01T00:00:00Z"
    first, second = bench.send(0.9, at=at), bench.send(0.9, at=at)
    assert told(first) == told(second)
    other = bench.send(0.1, at=at)
    assert (other.status_code, told(other)["code"]) == (409, "OBSERVATION_REFUSED")
    assert bench.mlflow.aliases["champion"] == "3"


def test_a_move_back_that_mlflow_was_away_for_is_made_by_the_repeated_report(bench: Bench) -> None:
    bench.mlflow.stuck.add("champion")
    at = "2030-01-01T00:00:00Z"
    assert told(bench.send(0.1, at=at))["code"] == "TRACKING_UNAVAILABLE"
    assert bench.mlflow.aliases["champion"] == "3"
    bench.mlflow.stuck.clear()
    late = bench.send(0.1, at=at)  # the move is carried out, and then it is not the champion any more
    assert (bench.mlflow.aliases["champion"], late.status_code) == ("2", 200 if told(late).get("champion") else 409)
    assert [each for each in bench.kinds() if each[1] == "probation"] == [
        ("moved", "probation", "2"),
        ("decided", "probation", "2"),
    ]


def test_a_version_that_was_deleted_does_not_come_back_and_is_tried_once(bench: Bench) -> None:
    bench.mlflow.gone.add("2")
    for second in range(3):
        said = told(bench.send(0.1, at=f"2030-01-01T00:00:0{second}Z"))
        assert (said["verdict"], said["champion"]) == ("broken", "3")
    assert [each[0] for each in bench.kinds() if each[1] == "probation"] == ["impossible", "decided"]
    assert told(bench.api.get("/models/iris"))["probation"]["broken"] == 3


def test_a_champion_that_somebody_chose_in_mlflow_is_not_on_probation(bench: Bench) -> None:
    bench.mlflow.aliases["champion"] = "1"
    assert told(bench.send(0.1, version="3"))["code"] == "NOT_CHAMPION"
    said = told(bench.send(0.1))
    assert (said["version"], said["verdict"], bench.mlflow.aliases["champion"]) == ("1", "not_judged", "1")


def test_a_rolled_back_model_is_not_moved_by_an_old_probation(bench: Bench) -> None:
    bench.api.post("/models/iris/champion", json={"version": "1", "reason": "rather this"})
    bench.api.post("/models/iris/champion", json={"version": "3", "reason": "or that"})
    assert told(bench.send(0.1, version="3"))["verdict"] == "not_judged"
    assert bench.mlflow.aliases["champion"] == "3"


def test_a_model_without_a_champion_cannot_be_observed(bench: Bench) -> None:
    bench.mlflow.aliases = {}
    answer = bench.send(0.9)
    assert (answer.status_code, told(answer)["code"]) == (409, "NOT_CHAMPION")


ODD: list[dict[str, Any]] = [
    {"value": True},
    {"value": "0.9"},
    {"value": None},
    {"value": float("nan")},
    {"value": float("inf")},
    {"value": 1e101},
    {"value": -1e101},
    {"value": 10**400},
    {"n": 0},
    {"n": -1},
    {"n": 1.5},
    {"n": True},
    {"n": 10**9 + 1},
    {"n": 10**400},
    {"at": "2030-01-01T00:00:00"},
    {"at": "yesterday"},
    {"at": 1893456000},
    {"at": 1e300},
    {"at": ["2030-01-01T00:00:00Z"]},
    {"at": "0001-01-01T00:00:00+14:00"},
    {"version": "v3"},
    {"version": -3},
    {"version": 10**30},
    {"metric": ""},
    {"metric": "a\x00b"},
    {"metric": "m" * 251},
    {"metric": 7},
    {"alias": "staging"},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_what_makes_no_sense_is_refused_and_not_recorded(bench: Bench, odd: dict[str, Any]) -> None:
    answer = bench.send(**{"value": 0.1, **odd})
    assert answer.status_code in (400, 422)
    assert bench.store.observations("iris", limit=9) == []
    assert bench.mlflow.aliases["champion"] == "3"


@pytest.mark.parametrize("at", ["2030-01-01T00:02:00Z", "9999-12-31T23:59:59Z", "2029-01-01T00:00:00Z"])
def test_a_time_in_the_future_or_long_ago_is_refused(bench: Bench, at: str) -> None:
    answer = bench.send(0.1, at=at)
    assert (answer.status_code, told(answer)["code"]) == (409, "OBSERVATION_REFUSED")
    assert told(answer)["detail"].endswith("it is 2030-01-01T00:00:00+00:00 now.")
    assert bench.mlflow.aliases["champion"] == "3"


def _reported(api: Api) -> Asking:
    mlflow = api.stack.enter_context(odd_mlflow())
    begin(api.store, "2", "1")
    settings, body = {"mlflow_tracking_uri": mlflow.served.url}, {"metric": "accuracy", "value": 0.9}
    other = {**body, "version": "1"}
    others = {
        "404": lambda: api.client(**settings).post("/models/a:b/observations", json=body),
        "409": lambda: api.client(**settings).post(PATH, json=other),
    }
    return Asking(PATH, body, settings, others)


DOCUMENTED: Documented = {
    "POST /models/<model>/observations": _reported,
    "GET /models/<model>/observations": lambda api: Asking(
        PATH, others={"404": lambda: api.client().get("/models/a:b/observations")}
    ),
}
