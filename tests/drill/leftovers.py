"""What the end must leave: every MLflow run ended as its attempt did, and nothing else that the service made."""

from typing import Any

import requests

from tests.drill.invariants import Outcome
from tests.drill.records import AttemptRow, JobRow
from tests.drill.sampling import Violation, trainings
from tests.drill.stack import DrillStack

HTTP_SECONDS = 30
PAGE = 1000


def runs_agree(outcome: Outcome, stack: DrillStack) -> list[Violation]:
    """Each attempt has one run at most, whose status is the attempt's end."""
    runs = {run["info"]["run_id"]: run for run in _all_runs(stack.mlflow.url)}
    recorded = {each.run_id: each for each in outcome.attempts if each.run_id}
    found = []
    for run_id, run in runs.items():
        status, job_id = run["info"]["status"], _tag(run, "retrain.job_id")
        attempt = recorded.get(run_id)
        if attempt is None:
            if status == "RUNNING":
                found.append(Violation(f"the run {run_id} is nobody's and RUNNING", job_id))
            continue
        if status != (wanted := run_status(attempt, outcome.jobs[attempt.job_id])):
            what = f"the run of attempt {attempt.number} ({attempt.reason_code}) is {status}, not {wanted}"
            found.append(Violation(what, attempt.job_id))
    found += [Violation(f"the run {each} is gone", recorded[each].job_id) for each in recorded.keys() - runs.keys()]
    return found


def nothing_is_left(outcome: Outcome, stack: DrillStack) -> list[str]:
    """Names of all that is still there: trainings, containers, folders, slots, temporary files."""
    left = [f"training {pid} of {job}" for job, _attempt, pid in trainings() if job in outcome.jobs]
    left += [f"slot of {job.id} ({job.state})" for job in outcome.jobs.values() if job.is_supervised]
    for kind in ("processes", "scratch", "work"):
        left += [str(path) for path in sorted((stack.machine.data / kind).glob("*/*"))]
    left += [str(path) for path in sorted((stack.folder / "tmp").iterdir())]
    return left + _containers(stack)


def _containers(stack: DrillStack) -> list[str]:
    engine = stack.machine.engine
    if engine is None:
        return []
    with engine.client() as client:
        found: list[dict[str, Any]] = client.api.containers(all=True)
    return [f"container {each['Names']}" for each in found]


def run_status(attempt: AttemptRow, job: JobRow) -> str:
    """Return how the run of an attempt ends: the job may be cancelled after that."""
    if attempt.reason_code is None:
        return "KILLED" if job.state == "cancelled" and attempt.number == job.attempt else "FINISHED"
    return "KILLED" if attempt.reason_type in ("timeout", "cancelled") else "FAILED"


def _all_runs(url: str) -> list[dict[str, Any]]:
    api = f"{url}/api/2.0/mlflow"
    experiments = _post(f"{api}/experiments/search", {"max_results": PAGE}).get("experiments", [])
    wanted: dict[str, Any] = {"experiment_ids": [each["experiment_id"] for each in experiments], "max_results": PAGE}
    found: list[dict[str, Any]] = []
    while True:
        page = _post(f"{api}/runs/search", wanted)
        found += page.get("runs", [])
        if not page.get("next_page_token"):
            return found
        wanted["page_token"] = page["next_page_token"]


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.post(url, json=body, timeout=HTTP_SECONDS)
    assert answer.ok, answer.text
    return dict(answer.json())


def _tag(run: dict[str, Any], name: str) -> str | None:
    tags = run["data"].get("tags", [])
    return next((str(tag["value"]) for tag in tags if tag["key"] == name), None)
