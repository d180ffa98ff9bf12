"""Answers to a model that waits, over restarts of API and worker: each step opens the store on disk anew."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient

from api.app import create_app
from mypackage.gate.proposal import Proposal
from shared.alerts.model import AlertEvent, Alerting
from shared.settings import Settings
from shared.sql import SqlStore
from tests.fakes.model_gate import FakeGate
from tests.fakes.queue import RecordingQueue
from tests.fakes.worker import FakeWorker
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.support.threads import at_once

DAY_SECONDS = 86400.0
DISCORD = frozenset({"discord"})
TOLD = frozenset({AlertEvent.CHAMPION_CHANGED, AlertEvent.APPROVAL_WANTED})
FIRST, WAITING, BETTER = "2", "3", "4"
VALUES = {FIRST: 0.8, WAITING: 0.9, BETTER: 0.95}


@dataclass
class OneRegistry(FakeGate):
    """What workers see of the MLflow that the API speaks to: the same aliases."""

    mlflow: OddMlflow = field(default_factory=OddMlflow)

    def find_version(self, model: str, alias: str) -> str | None:
        """Return who has the alias there."""
        return self.mlflow.aliases.get(alias)

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Move it there."""
        self.mlflow.aliases[alias] = version


class Installation:
    """A file, a clock of its own, and MLflow. APIs and workers start, do one thing, and are gone."""

    def __init__(self, url: str, folder: Path, mlflow: OddMlflow) -> None:
        self.url, self.folder, self.mlflow = url, folder, mlflow
        self.mlflow.values.update(VALUES)
        self.first = FakeWorker.new(folder)
        self.first.tracking.models = OneRegistry(values=dict(VALUES), mlflow=mlflow)
        self.key = Fernet.generate_key()

    def pass_seconds(self, seconds: float) -> None:
        """Let time go by, for all of them."""
        self.first.clock.shift_seconds += seconds

    @contextmanager
    def _store(self) -> Iterator[SqlStore]:
        store = SqlStore(self.url, clock=self.first.clock, alerting=Alerting(TOLD, DISCORD))
        yield store
        store.close()

    @contextmanager
    def api(self) -> Iterator[FlaskClient]:
        """An API that has just started."""
        values = {"data_dir": self.folder, "api_tokens": (), "mlflow_tracking_uri": self.mlflow.served.url}
        settings = Settings.load(_env_file=None, **values)
        with self._store() as store:
            vault = self.first.vault
            yield create_app(settings, store=store, queue=RecordingQueue(), vault=vault).test_client()

    @contextmanager
    def worker(self) -> Iterator[FakeWorker]:
        """A worker that has just started."""
        with self._store() as store:
            yield self.first.restarted(store=store)

    def train(self, version: str, **promotion: Any) -> str:
        """A job whose training proposes that version; its worker is gone when it has ended."""
        made = Proposal("iris", f"runs:/{version}/m", version, "accuracy", False, "champion", 1, True, version=version)
        with self.worker() as worker:
            job_id = worker.submit(promotion=promotion)
            worker.tracking.models.proposed = {f"run-{job_id}-1": [made]}
            worker.run(job_id)
        return job_id

    def sweep(self) -> None:
        """One round of a worker."""
        with self.worker() as worker:
            worker.turn(reconcile=True)

    def answer(self, promotion_id: str, word: str) -> tuple[int, str]:
        """A person's answer; the state, or what the refusal says."""
        with self.api() as api:
            answer = api.post(f"/promotions/{promotion_id}/{word}", json={"reason": f"I {word}"})
            said = answer.json or {}
            return answer.status_code, said.get("state") or said["detail"]

    def promotion(self, job_id: str) -> dict[str, Any]:
        """What the job shows of it."""
        with self.api() as api:
            found: dict[str, Any] = (api.get(f"/jobs/{job_id}").json or {})["promotion"]
            return found

    def noted(self, job_id: str) -> tuple[bool, str]:
        """What the job's run in MLflow says."""
        said = json.loads(self.first.tracking.models.noted[f"run-{job_id}-1"])
        return said["promoted"], said["reason"]

    def told(self) -> list[AlertEvent]:
        """Which alerts about models are sent."""
        sent = []
        with self._store() as store:
            while alert := store.take_alert(DISCORD, lease_seconds=DAY_SECONDS):
                store.alert_sent(alert)
                sent.append(alert.event)
        return sent


@pytest.fixture
def here(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setattr("worker.attempt.supervision.FIRST_POLL_SECONDS", 0.001)
    monkeypatch.setattr("worker.attempt.supervision.POLL_SECONDS", 0.002)
    with odd_mlflow() as mlflow:
        yield Installation(sqlite_url, tmp_path, mlflow)


def waits(here: Installation) -> tuple[str, str]:
    """A job whose model waits, and its promotion; all that is told of it and of the champion before is told."""
    job_id = here.train(WAITING, mode="approve")
    shown = here.promotion(job_id)
    assert (shown["state"], shown["promoted"]) == ("awaiting_approval", False)
    assert (here.mlflow.aliases, here.noted(job_id)[0]) == ({"champion": FIRST}, False)
    assert here.told() == [AlertEvent.CHAMPION_CHANGED, AlertEvent.APPROVAL_WANTED]
    return job_id, shown["id"]


def test_of_two_who_answer_at_once_one_counts_and_the_other_is_told_which(here: Installation) -> None:
    job_id, promotion_id = waits(here)
    answers = at_once(4, lambda number: here.answer(promotion_id, ("approve", "reject")[number % 2]))
    [state] = [said for status, said in answers if status == 200]
    refusals = [said for status, said in answers if status == 409]
    assert len(refusals) == 3
    assert all("promoted" in said or "moving" in said or "rejected" in said for said in refusals)
    here.sweep()

    is_promoted = state == "promoted"
    assert here.mlflow.aliases == ({"champion": WAITING, "previous": FIRST} if is_promoted else {"champion": FIRST})
    why = "approved: I approve" if is_promoted else "rejected: I reject"
    shown = here.promotion(job_id)
    assert (shown["state"], shown["promoted"], shown["reason"]) == (state, is_promoted, why)
    assert here.noted(job_id) == (is_promoted, why)
    assert here.told() == [AlertEvent.CHAMPION_CHANGED] * is_promoted
    assert here.answer(promotion_id, "approve")[0] == 409


def test_an_approval_after_a_better_champion_is_decided_against_that_one(here: Installation) -> None:
    job_id, promotion_id = waits(here)
    better = here.train(BETTER)
    assert (here.promotion(better)["state"], here.mlflow.aliases["champion"]) == ("promoted", BETTER)
    assert here.answer(promotion_id, "approve") == (200, "not_promoted")
    here.sweep()

    assert here.mlflow.aliases == {"champion": BETTER, "previous": FIRST}
    shown = here.promotion(job_id)
    late = "not promoted: 0.9 < 0.95 (another version became champion before the approval)"
    assert (shown["state"], shown["promoted"], shown["reason"]) == ("not_promoted", False, late)
    assert here.noted(job_id) == (False, late)
    assert here.told() == [AlertEvent.CHAMPION_CHANGED]


def test_an_approval_while_mlflow_moves_nothing_is_carried_out_by_a_worker(here: Installation) -> None:
    job_id, promotion_id = waits(here)
    here.mlflow.stuck.add("champion")
    assert here.answer(promotion_id, "approve")[0] == 503
    assert (here.promotion(job_id)["state"], here.told()) == ("moving", [])
    assert here.answer(promotion_id, "reject")[0] == 409
    here.mlflow.stuck.clear()
    here.pass_seconds(61)
    here.sweep()

    assert here.mlflow.aliases == {"champion": WAITING, "previous": FIRST}
    shown = here.promotion(job_id)
    assert (shown["state"], shown["promoted"], shown["reason"]) == ("promoted", True, "approved: I approve")
    assert here.noted(job_id) == (True, "approved: I approve")
    assert here.told() == [AlertEvent.CHAMPION_CHANGED]


def by_the_sweep(here: Installation, _promotion_id: str) -> None:
    here.sweep()


def by_an_approval(here: Installation, promotion_id: str) -> None:
    """No worker was there to notice that the time was up."""
    status, said = here.answer(promotion_id, "approve")
    assert (status, "expired" in said) == (409, True)


@pytest.mark.parametrize("notice", [by_the_sweep, by_an_approval])
def test_what_nobody_answers_in_time_stays_without_the_alias(
    here: Installation, notice: Callable[[Installation, str], None]
) -> None:
    job_id, promotion_id = waits(here)
    here.pass_seconds(7 * DAY_SECONDS - 60)
    here.sweep()
    assert here.promotion(job_id)["state"] == "awaiting_approval"
    here.pass_seconds(61)
    notice(here, promotion_id)
    here.sweep()

    why = "expired: nobody approved it in time"
    shown = here.promotion(job_id)
    assert (shown["state"], shown["promoted"], shown["reason"]) == ("expired", False, why)
    assert (here.noted(job_id), here.mlflow.aliases) == ((False, why), {"champion": FIRST})
    assert here.answer(promotion_id, "approve")[0] == here.answer(promotion_id, "reject")[0] == 409
    assert here.told() == []
