"""MLflow's server as ours starts it, believing pandas absent as it is loaded, answers what MLflow's own answers.

Every route that the UI uses is asked for, of two copies of one store.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.support.servers.mlflow_server import MlflowServer
from tests.unit.deploy.test_mlflow_in_place import ROOT, told_by
from tests.unit.deploy.test_mlflow_routes import LIST

HTTP_SECONDS = 60
FILL_SECONDS = 120
LEAST_FOUND = 40  # so many of the requests, at least, must be answered with 200, or the comparison says little
# The UI's twin of each route is asked, not the client's. The gateway, and what starts jobs, assistants and MCP servers,
# is refused to everybody: deploy/mlflow_guard/routes.py.
NOT_ASKED = re.compile(r"^/api/|gateway|/jobs|/assistant|/mcp-servers|/invoke|prompt-optimization|promptlab|demo")
PLACEHOLDER = re.compile(r"[<{](?:path:)?(\w+)(?::path)?[>}]")
# What differs between two answers to the same request: ids just made, digests of them, times, addresses.
CHANGING = re.compile(
    r"(?<![0-9a-z])(?:[a-z]{1,3}-)?(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|\b1[0-9]{12}\b"
    r"|(?<=digest\": \")[0-9a-f]{8}|127\.0\.0\.1:\d+|\d{4}-\d\d-\d\d[T ][0-9:.]+(?:Z|[+-]\d\d:\d\d)?"
)
GET_RUN = """
query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) {
  apiError { code message } run { info { runName status } data { metrics { key value } params { key value } } } } }
"""
OF, OF_3, FILES = "/ajax-api/2.0/mlflow", "/ajax-api/3.0/mlflow", "/ajax-api/2.0/mlflow-artifacts/artifacts"
Request = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What both servers have to agree about."""

    status: int
    media_type: str
    body: Any


@dataclass(frozen=True)
class Both:
    """Both servers' addresses, and the ids of what is in their stores."""

    plain: str
    ours: str
    ids: Mapping[str, Any]

    def answer(self, request: Request) -> tuple[Answer, Answer]:
        """Return both answers."""
        return _ask(self.plain, *request), _ask(self.ours, *request)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder, copied = (tmp_path_factory.mktemp(name) for name in ("plain", "in-place"))
    plain, ours = MlflowServer(folder), MlflowServer(copied, module="deploy.mlflow_in_place")
    try:
        plain.start()
        ids = _fill(plain.url)
        plain.stop()
        shutil.copytree(folder, copied, dirs_exist_ok=True)
        plain.start()
        ours.start()
        yield Both(plain.url, ours.url, ids)
    finally:
        plain.stop()
        ours.stop()


def _fill(url: str) -> Mapping[str, Any]:
    filling = [sys.executable, "-W", "ignore", "-m", "tests.integration.deploy.filled_mlflow", url]
    done = subprocess.run(filling, cwd=ROOT, capture_output=True, text=True, timeout=FILL_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    ids: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return ids


def test_rarer_questions_are_answered_as_by_mlflow_s_own_server(both: Both) -> None:
    for request in _questions(both.ids):
        wanted, got = both.answer(request)
        assert wanted == got, request
        assert wanted.status == 200, (request, wanted)


def test_every_route_answers_as_that_of_mlflow_s_own_server(both: Both) -> None:
    known, found, differing = _known(both.ids), 0, []
    for method, route in _routes():
        wanted, got = both.answer((method, _path(route, known), known))
        found += wanted.status == 200
        if wanted != got:
            differing.append(f"{method} {route}: {wanted}, not {got}")
    assert not differing, "\n".join(differing)
    assert found >= LEAST_FOUND


def _routes() -> Sequence[tuple[str, str]]:
    """Return method and path; what changes something comes after what asks, and what deletes at the end."""
    found = {(method, path) for method, path in map(str.split, told_by(LIST)) if not NOT_ASKED.search(path)}
    return sorted(found, key=lambda each: ("delete" in " ".join(each).lower(), each[0] != "GET", each[1], each[0]))


def _path(route: str, values: Mapping[str, Any]) -> str:
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], "unknown")), route)


def _known(ids: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return values for all that routes ask for: MLflow leaves aside what a route does not know."""
    run, experiment, trace = ids["run"], ids["experiment"], ids["trace"]
    return {
        **dict.fromkeys(("run_id", "run_uuid"), run),
        "run_ids": [run, ids["other_run"]],
        "experiment_ids": [experiment],
        "experiment_id": experiment,
        "experiment_name": "rare",
        "run_name": "again",
        "name": "iris",
        "version": "1",
        "alias": "champion",
        "metric_key": "loss",
        **dict.fromkeys(("trace_id", "request_id"), trace),
        "trace_ids": [trace],
        "request_ids": [trace],
        "model_id": ids["model"],
        "dataset_id": ids["dataset"],
        "assessment_id": ids["assessment"],
        "artifact_path": f"{experiment}/{run}/artifacts/table.json",
        "path": "table.json",
        "max_results": 5,
        "artifact_file_path": "MLmodel",
        "key": "k",
        "value": "1",
        "tag_key": "k",
        "step": 1,
        "timestamp": 1,
    }


def _questions(ids: Mapping[str, Any]) -> Sequence[Request]:
    run, trace, model, dataset = (ids[name] for name in ("run", "trace", "model", "dataset"))
    runs, here, loss = [run, ids["other_run"]], {"experiment_ids": [ids["experiment"]]}, {"metric_key": "loss"}
    folder, interval = f"{ids['experiment']}/{run}/artifacts", f"{OF}/metrics/get-history-bulk-interval"
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": ids["experiment"]}}
    assessments = f"{OF_3}/traces/{trace}/assessments"
    told = {"assessment_name": "kind", "trace_id": trace, "source": {"source_type": "HUMAN", "source_id": "bob"}}
    return [
        ("POST", f"{OF}/runs/search", {**here, "filter": "metrics.loss < 0.9", "order_by": ["metrics.loss"]}),
        ("POST", f"{OF}/runs/search", {**here, "filter": "dataset.name = 'flowers'"}),
        ("POST", f"{OF}/experiments/search-datasets", here),
        ("GET", f"{OF}/metrics/get-history-bulk", {**loss, "run_id": runs}),
        ("GET", interval, {**loss, "run_ids": runs, "max_results": 3}),
        ("GET", interval, {**loss, "run_ids": [run], "start_step": 2, "end_step": 9}),
        ("POST", "/graphql", {"query": GET_RUN, "variables": {"data": {"runId": run}}, "operationName": "GetRun"}),
        ("GET", "/get-artifact", {"path": "table.json", "run_uuid": run}),
        ("GET", "/model-versions/get-artifact", {"path": "MLmodel", "name": "iris", "version": "1"}),
        ("GET", f"{OF}/artifacts/list", {"run_id": run, "path": "some"}),
        ("PUT", f"{FILES}/{folder}/late.txt", {"any": "bytes"}),
        ("GET", f"{FILES}/{folder}/late.txt", {}),
        ("GET", FILES, {"path": folder}),
        ("DELETE", f"{FILES}/{folder}/late.txt", {}),
        ("POST", f"{OF}/logged-models/search", {**here, "filter": "name = 'model'"}),
        ("GET", f"{OF}/logged-models/{model}/artifacts/directories", {}),
        ("GET", f"{OF}/logged-models/{model}/artifacts/files", {"artifact_file_path": "MLmodel"}),
        ("GET", f"{OF}/registered-models/search", {"filter": "name ILIKE '%RI%'", "order_by": ["name DESC"]}),
        ("GET", f"{OF}/registered-models/search", {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}),
        ("GET", f"{OF}/model-versions/search", {"filter": f"run_id = '{run}'"}),
        ("POST", f"{OF_3}/traces/search", {"locations": [place], "filter": "attributes.status = 'OK'"}),
        ("GET", f"{OF_3}/traces/get", {"trace_id": trace}),
        ("GET", f"{OF_3}/get-trace-artifact", {"request_id": trace}),
        ("POST", f"{OF_3}/datasets/search", here),
        ("GET", f"{OF_3}/datasets/{dataset}/records", {}),
        ("GET", f"{assessments}/{ids['assessment']}", {}),
        ("POST", f"{OF}/runs/log-model", {"run_id": run, "model_json": json.dumps(_model(run))}),
        ("POST", assessments, {"assessment": {**told, "feedback": {"value": 3}}}),
    ]


def _model(run: str) -> Mapping[str, Any]:
    """Return a model as a client records it. For its signature MLflow needs pandas, which is loaded then."""
    columns = json.dumps([{"name": "height", "type": "double"}])
    told = {"artifact_path": "old", "run_id": run, "utc_time_created": "2026-01-01 00:00:00.000000"}
    return {**told, "flavors": {}, "signature": {"inputs": columns, "outputs": None}}


def _ask(url: str, method: str, path: str, values: Mapping[str, Any]) -> Answer:
    sent = {"params": values} if method in {"GET", "DELETE"} else {"json": values}
    answer = requests.request(method, f"{url}{path}", timeout=HTTP_SECONDS, allow_redirects=False, **sent)  # type: ignore[arg-type]
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    text = CHANGING.sub("0", answer.text)
    return Answer(answer.status_code, media_type, json.loads(text) if media_type == "application/json" else text)
