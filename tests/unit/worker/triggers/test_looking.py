"""A worker takes a trigger that is due, looks, and settles: what becomes a job, and what does not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from shared.jobs.model import JobState
from shared.jobs.triggers import Kind, NewTrigger, Outcome
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.triggers.ticks import MISSED_SHOWN
from tests.fakes.source import FakeSource
from tests.support.jobs import SUCCEEDED, claim
from tests.unit.worker.triggers.scene import AWAY, HOURLY, PUSHES, SECRETS, TEMPLATE, TOKEN, Scene
from worker.credentials.keys import Keyring
from worker.interruption import NEVER, Interruption, WorkerStopping
from worker.source.checkout import SourceRequest
from worker.triggers import looking as module
from worker.triggers.looking import LEASE_SECONDS, TriggerLooking
from worker.triggers.seam import Around


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_was_sent_becomes_a_job_of_the_template_with_its_changes(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push(changes={"commit_hash": "f" * 40}, facts={"branch": "main"})
    assert scene.look() == 1
    [job] = scene.jobs()
    assert scene.queue.sent == [job.id]
    assert job.request == {**TEMPLATE, "commit_hash": "f" * 40}
    assert job.trigger_name == "auto"
    assert job.triggered_by == {
        "trigger": "auto",
        "kind": "git",
        "key": "push 1",
        "at": "2030-01-01T00:00:00Z",
        "facts": {"branch": "main"},
    }
    [event] = scene.events()
    assert (event.outcome, event.job_id, event.reason) == (Outcome.FIRED, job.id, "git: branch main")


def test_the_templates_credentials_reach_the_job_encrypted(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push()
    scene.look()
    [job] = scene.jobs()
    assert TOKEN not in json.dumps(dict(job.request))
    secret = scene.store.secret(claim(scene.store, job.id))
    assert secret is not None
    assert TOKEN.encode() not in secret
    assert scene.vault.open(secret) == SECRETS


def test_a_job_gets_the_operators_gpus_unless_the_template_says_how_many(tmp_path: Path) -> None:
    scene = Scene(tmp_path, settings={"default_gpus": 2})
    scene.add(PUSHES)
    scene.push()
    scene.look()
    assert [job.gpus for job in scene.jobs()] == [2]


def test_ticks_fire_when_they_are_due_and_nothing_is_looked_at_in_between(scene: Scene) -> None:
    scene.add(HOURLY, if_running="queue")
    for _ in range(3):
        scene.clock.pass_seconds(3599)
        assert scene.look() == 0
        scene.clock.pass_seconds(1)
        assert scene.look() == 1
    assert scene.outcomes() == [Outcome.FIRED] * 3
    assert [job.triggered_by["at"] for job in scene.jobs() if job.triggered_by] == [
        f"2030-01-01T0{hour}:00:00Z" for hour in (1, 2, 3)
    ]


def test_flower_is_told_of_a_waiting_job_that_a_newer_one_ends(scene: Scene) -> None:
    scene.add(PUSHES, if_running="cancel_older")
    for number in (1, 2):
        scene.clock.pass_seconds(1)
        scene.push(f"push {number}")
        scene.look()
    [older, newer] = scene.jobs()
    assert older.state is JobState.CANCELLED
    assert scene.queue.sent == [older.id, newer.id, older.id]


def test_what_waits_fires_when_its_time_has_come(scene: Scene) -> None:
    scene.add(PUSHES, cooldown=600)
    scene.push("push 1")
    scene.look()
    scene.push("push 2")
    assert scene.look() == 1
    assert scene.outcomes() == [Outcome.FIRED, Outcome.WAITING]
    scene.clock.pass_seconds(599)
    assert scene.look() == 0
    scene.clock.pass_seconds(1)
    assert scene.look() == 1
    assert scene.outcomes() == [Outcome.FIRED] * 2
    assert len(scene.queue.sent) == 2


def test_a_trigger_that_was_changed_during_the_look_is_not_settled(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push()
    scene.store.between = lambda: scene.store.pause_trigger("auto", reason="")
    assert scene.looking.once()
    assert scene.jobs() == []
    assert scene.queue.sent == []


def test_of_two_workers_the_one_that_lost_its_lease_makes_no_job(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push()

    def look_elsewhere() -> None:
        del scene.store.between
        scene.clock.pass_seconds(LEASE_SECONDS + 1)
        assert scene.looking.once()

    scene.store.between = look_elsewhere
    scene.looking.once()
    assert len(scene.jobs()) == len(scene.queue.sent) == 1
    assert scene.outcomes() == [Outcome.FIRED]


def test_a_worker_that_stops_gives_the_trigger_back_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.add(HOURLY)
    scene.clock.pass_seconds(3600)

    def stop(*_: Any) -> Any:
        raise WorkerStopping

    with monkeypatch.context() as patched:
        patched.setattr(module, "LOOKERS", {Kind.EVERY: stop})
        assert scene.looking.once()
    assert scene.looking.once()
    assert scene.outcomes() == [Outcome.FIRED]


def test_a_look_that_breaks_leaves_the_trigger_to_others_until_its_lease_ends(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.add(HOURLY)
    scene.clock.pass_seconds(3600)

    def break_down(*_: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(module, "LOOKERS", {Kind.EVERY: break_down})
        with pytest.raises(RuntimeError):
            scene.looking.once()
    assert not scene.looking.once()
    scene.clock.pass_seconds(LEASE_SECONDS)
    assert scene.looking.once()
    assert scene.outcomes() == [Outcome.MISSED]


def test_a_host_that_does_not_answer_is_noted_without_secrets_and_what_waits_waits_on(scene: Scene) -> None:
    scene.add(PUSHES, skip_if_same_inputs=True)
    scene.source.errors = [AWAY, AWAY]
    scene.push()
    assert scene.look() == 1
    assert {event.outcome for event in scene.events()} == {Outcome.WAITING, Outcome.UNREACHABLE}
    assert all("unreachable: git.example does not answer" in event.reason for event in scene.events())
    assert not any(TOKEN in event.reason for event in scene.events())
    scene.clock.pass_seconds(30)
    assert scene.look() == 1
    scene.clock.pass_seconds(59)
    assert scene.look() == 0
    scene.clock.pass_seconds(1)
    assert scene.look() == 1
    assert Outcome.FIRED in scene.outcomes()


def test_a_worker_with_another_key_says_so_where_people_look(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push()
    scene.looking = replace(scene.looking, keyring=Keyring(Vault(Fernet.generate_key())))
    scene.look()
    assert sorted(scene.outcomes()) == [Outcome.UNREACHABLE, Outcome.WAITING]
    assert all("SECRET_KEY" in event.reason for event in scene.events())
    assert scene.jobs() == []


def test_a_tick_whose_host_does_not_answer_fires_once_when_it_does(scene: Scene) -> None:
    scene.add({"every": 86400}, skip_if_same_inputs=True)
    scene.source.errors = [AWAY] * 5
    scene.clock.pass_seconds(86400)
    for _ in range(6):
        assert scene.look() == 1
        scene.clock.pass_seconds(300)
    assert scene.outcomes() == [Outcome.UNREACHABLE, Outcome.FIRED]
    [job] = scene.jobs()
    assert "late by" in (job.triggered_by or {})["facts"]


@pytest.mark.parametrize("catch_up", ["none", "once"])
def test_a_minutely_trigger_after_a_month_without_workers_notes_what_was_missed_and_goes_on(
    scene: Scene, catch_up: str
) -> None:
    scene.add({"every": 60}, if_running="queue", catch_up=catch_up)
    scene.clock.pass_seconds(30 * 86400 + 59.5)
    assert scene.look() == 1
    assert [event.outcome for event in scene.events()] == [*[Outcome.MISSED] * MISSED_SHOWN, Outcome.FIRED]
    assert scene.events()[0].reason.endswith(f"nor at the {30 * 1440 - MISSED_SHOWN - 1} times before it")
    scene.clock.pass_seconds(60)
    assert scene.look() == 1
    assert len(scene.jobs()) == 2


class CountingSource(FakeSource):
    """Each look finds the next of these commits."""

    def __init__(self, folder: Path, commits: Iterator[str]) -> None:
        super().__init__(folder)
        self.commits = commits

    def find_tip(self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER) -> str:
        """The next one, asked for with the template's credentials."""
        assert request.credentials == SECRETS.source
        return next(self.commits)


def test_the_same_commit_again_is_skipped_after_a_success_and_another_one_is_pinned(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    source = CountingSource(tmp_path, iter(["a" * 40, "a" * 40, "b" * 40]))
    scene.looking = TriggerLooking(
        around=Around(**{**vars(scene.looking.around), "source": source}),
        queue=scene.queue,
        keyring=Keyring(scene.vault),
        redactor=Redactor(),
    )
    scene.add(HOURLY, skip_if_same_inputs=True)
    for _ in range(3):
        scene.clock.pass_seconds(3600)
        scene.look()
        for job_id in scene.queue.sent:
            scene.store.finish(claim(scene.store, job_id), SUCCEEDED)
        scene.queue.sent.clear()
    assert scene.outcomes() == [Outcome.FIRED, Outcome.SKIPPED, Outcome.FIRED]
    assert scene.events()[1].reason == "same inputs as the trigger's last success"
    assert [job.commit_sha for job in scene.jobs()] == ["a" * 40, "b" * 40]


def test_without_redis_the_job_is_there_for_the_sweep(scene: Scene) -> None:
    scene.add(PUSHES)
    scene.push()
    scene.queue.down = True
    scene.look()
    [job] = scene.jobs()
    assert scene.outcomes() == [Outcome.FIRED]
    assert scene.store.get(job.id).state == "queued"


def test_no_trigger_keeps_others_from_being_looked_at(scene: Scene) -> None:
    for number in range(5):
        new = NewTrigger(name=f"t{number}", template=TEMPLATE, when=HOURLY, policy={}, kind=Kind.EVERY)
        scene.store.create_trigger(new)
    assert scene.look() == 5
    scene.clock.now += timedelta(hours=1)
    assert scene.look() == 5
    assert len(scene.queue.sent) == 5
