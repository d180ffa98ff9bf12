"""What must be true of every job at the end, whichever versions had it: it ended once, whole, and left nothing."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import requests

from tests.support.waiting import wait_until
from tests.upgrade.project import LAST_LINE
from tests.upgrade.site import HTTP_SECONDS, Api, Site

TERMINAL = ("succeeded", "failed", "cancelled")
RUN_STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def expect(site: Site, api: Api, ends: Mapping[str, str], *, attempts: Mapping[str, int] | None = None) -> None:
    """Wait for the end of the jobs and compare it with what is expected of each: one attempt, unless told otherwise."""
    for job_id, state in ends.items():
        job = api.wait_for(job_id, *TERMINAL)
        assert job["state"] == state, f"{job_id} is to be {state}: {job}"
        assert len(job["attempts"]) == (attempts or {}).get(job_id, 1), job
        assert [each["to"] in TERMINAL for each in job["transitions"]].count(True) == 1, job
        if state == "succeeded":
            _is_whole(api.log(job_id), job_id)
    _started_once(site, ends, attempts or {})
    _runs_agree(site, api, ends)
    wait_until(lambda: not site.left(), what=f"nothing left by trainings, not {site.left()}")


def _is_whole(lines: list[str], job_id: str) -> None:
    *numbers, last = lines
    assert numbers == [str(number + 1) for number in range(len(numbers))], f"{job_id} printed {lines}"
    assert last == LAST_LINE, f"{job_id} printed {lines}"


def _started_once(site: Site, job_ids: Collection[str], attempts: Mapping[str, int]) -> None:
    ledger = site.project.ledger
    starts = Counter({start: count for start, count in ledger.starts().items() if start[0] in job_ids})
    assert starts == Counter((job, number + 1) for job in job_ids for number in range(attempts.get(job, 1)))
    assert ledger.overlaps() == []


def _runs_agree(site: Site, api: Api, ends: Mapping[str, str]) -> None:
    """Each attempt has one run; the last one's has the end that the job has."""
    for job_id, state in ends.items():
        experiment = api.job(job_id)["request"]["experiment_name"]

        def statuses(named: str = experiment) -> list[str]:
            return [run["info"]["status"] for run in _runs(site, named)]

        attempts = len(api.job(job_id)["attempts"])
        wanted = Counter({RUN_STATUS[state]: 1}) + Counter({"FAILED": attempts - 1})
        wait_until(lambda: Counter(statuses()) == wanted, what=f"runs of {experiment}: {wanted}, not {statuses()}")  # noqa: B023


def _runs(site: Site, experiment: str) -> list[dict[str, Any]]:
    root = f"{site.mlflow.url}/api/2.0/mlflow"
    named = requests.get(
        f"{root}/experiments/get-by-name", params={"experiment_name": experiment}, timeout=HTTP_SECONDS
    )
    ids = [named.json()["experiment"]["experiment_id"]]
    found = requests.post(f"{root}/runs/search", json={"experiment_ids": ids}, timeout=HTTP_SECONDS)
    return list(found.json().get("runs", []))
