"""GET /jobs/<id>/metrics: what the training has logged so far, beside the champion's."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from flask.testing import FlaskClient

from api.job_metrics import MOST_METRICS, MOST_SERIES, read_metrics
from api.model_registry import MetricPoint, ModelRegistry
from shared.access.roles import Role
from shared.jobs.model import JobState
from shared.jobs.records import Ending, Resolution
from tests.fakes.store import MemoryStore
from tests.support.network.ports import free_port
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.access.callers import sent_by
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.api.ui.browser import sign_in
from tests.unit.conftest import BODY, HOST, MakeApp

DECISION = {"model_name": "iris", "alias": "champion", "metric": "accuracy", "champion_version": "1"}


@pytest.fixture
def mlflow() -> Iterator[OddMlflow]:
    with odd_mlflow() as server:
        yield server


@pytest.fixture
def api(make_app: MakeApp, mlflow: OddMlflow) -> FlaskClient:
    return make_app(mlflow_tracking_uri=mlflow.served.url).test_client()


def a_job(client: FlaskClient, store: MemoryStore, run_id: str = "3", **ending: object) -> str:
    """A job whose attempt has a run; it has ended if ``ending`` says with which decision."""
    job_id: str = (client.post("/retrain", json={**BODY, "model_name": "iris"}).json or {})["id"]
    claim = store.claim(job_id, host=HOST, lease_seconds=60)
    assert claim
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "3", run_id))
    store.started(claim, runner="docker", container="abc")
    if ending:
        store.finish(claim, Ending(JobState.SUCCEEDED, exit_code=0, result={"metrics": {}, **ending}))
    return job_id


def test_while_it_runs_its_metrics_are_beside_those_of_the_champion(api: FlaskClient, store: MemoryStore) -> None:
    answer = api.get(f"/jobs/{a_job(api, store)}/metrics").json or {}

    assert answer["champion"] == {"model": "iris", "version": "2", "run_id": "2"}
    [metric] = answer["metrics"]
    assert (metric["name"], metric["value"], metric["champion"]) == ("accuracy", 0.9, 0.8)
    assert [(each["step"], each["value"]) for each in metric["points"]] == [(0, None), (1, 0.9)]
    assert [(each["step"], each["value"]) for each in metric["champion_points"]] == [(0, None), (1, 0.8)]


def test_after_the_decision_the_champion_is_the_one_that_was_met(api: FlaskClient, store: MemoryStore) -> None:
    answer = api.get(f"/jobs/{a_job(api, store, decision=DECISION)}/metrics").json or {}

    assert answer["champion"]["version"] == "1"
    assert answer["metrics"][0]["champion"] == 0.7


def test_a_job_without_a_run_has_no_metrics_and_asks_mlflow_nothing(make_app: MakeApp) -> None:
    api = make_app(mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}").test_client()
    job_id = (api.post("/retrain", json=BODY).json or {})["id"]

    assert (api.get(f"/jobs/{job_id}/metrics").json or {})["metrics"] == []


@pytest.mark.parametrize("run_id", ["gone", "2"])
def test_a_run_that_is_gone_or_the_champions_own_has_nothing_beside_it(
    api: FlaskClient, store: MemoryStore, run_id: str
) -> None:
    answer = api.get(f"/jobs/{a_job(api, store, run_id)}/metrics").json or {}

    assert [each["champion"] for each in answer["metrics"]] == ([] if run_id == "gone" else [None])


@pytest.mark.parametrize("path", ["runs/get", "registered-models/alias", "metrics/get-history-bulk-interval"])
def test_mlflow_away_is_said_in_words_and_the_page_says_it_too(
    api: FlaskClient, store: MemoryStore, mlflow: OddMlflow, path: str
) -> None:
    job_id = a_job(api, store)
    mlflow.odd[path] = ("<html>busy</html>", 502)

    answer, page = api.get(f"/jobs/{job_id}/metrics"), api.get(f"/ui/jobs/{job_id}/metrics")

    assert (answer.status_code, (answer.json or {})["code"]) == (503, "TRACKING_UNAVAILABLE")
    assert page.status_code == 200
    assert "MLflow does not answer" in page.text


def test_the_page_draws_the_course_of_both_and_has_the_numbers_as_text(api: FlaskClient, store: MemoryStore) -> None:
    page = api.get(f"/ui/jobs/{a_job(api, store)}/metrics").text

    assert "<svg" in page
    assert "champion, version 2, at last" in page
    assert "<td>0.9</td>" in page
    assert "<td>+0.1</td>" in page
    assert "data-poll" in page


def test_a_champion_of_another_team_is_not_told(make_app: MakeApp, store: MemoryStore, mlflow: OddMlflow) -> None:
    app = make_app(mlflow_tracking_uri=mlflow.served.url, teams_isolated=True, api_tokens="an-administrator-s-word")
    admin = app.test_client()
    sign_in(admin, "an-administrator-s-word")
    headers = {"Authorization": "Bearer an-administrator-s-word"}
    job_id = (admin.post("/retrain", json={**BODY, "model_name": "iris"}, headers=headers).json or {})["id"]
    claim = store.claim(job_id, host=HOST, lease_seconds=60)
    assert claim
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "3", "3"))

    whole = read_metrics(store.get(job_id), ModelRegistry(mlflow.served.url), lambda _model: True)
    less = read_metrics(store.get(job_id), ModelRegistry(mlflow.served.url), lambda _model: False)
    stranger = app.test_client().get(f"/jobs/{job_id}/metrics", headers=sent_by(store, "ben", Role.VIEWER, team="x"))

    assert whole.champion
    assert less.champion is None
    assert less.metrics[0].value == 0.9
    assert stranger.status_code == 404


class Many(ModelRegistry):
    """A run with very many metrics, of which this keeps which it was asked for."""

    asked: list[str]

    def last_metrics(self, run_id: str) -> dict[str, float]:
        return {"z-decides": 1.0, "system/cpu": 2.0, **{f"m{n:04}": float("nan") for n in range(500)}}

    def metric_points(self, metric: str, run_ids: object, *, limit: int) -> dict[str, list[MetricPoint]]:
        self.asked.append(metric)
        return {}


def test_very_many_metrics_are_bounded_and_the_one_that_decides_comes_first(
    api: FlaskClient, store: MemoryStore
) -> None:
    decision = {"metric": "z-decides", "model_name": "iris", "champion_version": None}
    job = store.get(a_job(api, store, decision=decision))
    registry = Many("")
    object.__setattr__(registry, "asked", [])

    found = read_metrics(job, registry, lambda _model: True)

    assert (len(found.metrics), found.left_out) == (MOST_METRICS, 502 - MOST_METRICS)
    assert (found.metrics[0].name, found.metrics[1].value) == ("z-decides", None)
    assert len(registry.asked) == MOST_SERIES


def test_a_slow_mlflow_gives_fewer_courses_not_a_slow_answer(api: FlaskClient, store: MemoryStore) -> None:
    registry, seconds = Many(""), count(0.0, 1.0)
    object.__setattr__(registry, "asked", [])
    clock: Callable[[], float] = lambda: next(seconds)  # noqa: E731

    found = read_metrics(store.get(a_job(api, store, decision={"model_name": "iris"})), registry, lambda _: True, clock)

    assert len(found.metrics) == MOST_METRICS
    assert len(registry.asked) == 4


def _get_job_metrics(api: Api) -> Asking:
    mlflow = api.stack.enter_context(odd_mlflow())
    client = api.client(mlflow_tracking_uri=mlflow.served.url)
    return Asking(
        f"/jobs/{a_job(client, api.store)}/metrics",
        settings={"mlflow_tracking_uri": mlflow.served.url},
        others={"404": lambda: client.get("/jobs/nope/metrics")},
    )


DOCUMENTED: Documented = {"GET /jobs/<job_id>/metrics": _get_job_metrics}
