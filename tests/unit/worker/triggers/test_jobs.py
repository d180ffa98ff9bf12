"""Looks at jobs that succeeded: which of them start another, once, and never in a circle."""

from pathlib import Path
from typing import Any

import pytest

from shared.jobs.model import Job, JobState
from shared.jobs.records import JobFilter
from tests.fakes.worker import FakeWorker
from tests.support.jobs import FAILED, ended, running, succeed
from tests.support.kept_triggers import REQUEST, a_trigger, events
from worker.interruption import Interruption
from worker.triggers import jobs as looker

AFTER_NIGHTLY = {"job": {"trigger": "nightly"}}


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return FakeWorker.new(tmp_path)


def create(worker: FakeWorker, name: str = "after", **fields: Any) -> None:
    worker.store.create_trigger(a_trigger(name, **{"when": AFTER_NIGHTLY, "template": REQUEST, **fields}))
    look(worker)


def look(worker: FakeWorker, *, after: float = 5) -> None:
    worker.clock.shift_seconds += after
    while worker.triggers.once():
        pass


def outcomes(worker: FakeWorker, name: str = "after") -> list[tuple[str, str]]:
    """What became of each success, without the looks that found none."""
    return [(each.key, str(each.outcome)) for each in reversed(events(worker.store, name)) if each.key]


def made(worker: FakeWorker, trigger: str = "after") -> list[Job]:
    return list(worker.store.list(JobFilter(trigger=trigger), limit=99))


def test_a_success_of_the_other_trigger_starts_one_job(worker: FakeWorker) -> None:
    create(worker)
    first = ended(worker.store, trigger_name="nightly")
    ended(worker.store, trigger_name="weekly")
    worker.store.finish(running(worker.store, trigger_name="nightly"), FAILED)
    for _ in range(3):
        look(worker)
    assert outcomes(worker, "after") == [(f"job {first}", "fired")]
    (job,) = made(worker)
    assert job.triggered_by
    assert job.triggered_by["facts"] == {"job": first, "trigger": "nightly", "chain": 1}


def test_a_success_with_the_model_starts_one_whoever_sent_it(worker: FakeWorker) -> None:
    create(worker, when={"job": {"model": "embeddings"}})
    mine = ended(worker.store, model_name="embeddings")
    ended(worker.store, model_name="iris")
    look(worker)
    assert outcomes(worker, "after") == [(f"job {mine}", "fired")]


def test_a_look_that_finds_none_says_so_and_whether_there_is_such_a_trigger(worker: FakeWorker) -> None:
    create(worker)
    look(worker)
    (missing,) = events(worker.store, "after")
    assert (missing.reason, missing.times) == ("there is no trigger 'nightly' that it could come after", 2)
    worker.store.create_trigger(a_trigger("nightly"))
    look(worker)
    assert events(worker.store, "after")[0].reason == "no other job of trigger nightly has succeeded"


def test_what_succeeded_before_the_trigger_or_while_it_was_paused_does_not_count(worker: FakeWorker) -> None:
    ended(worker.store, trigger_name="nightly")
    worker.clock.shift_seconds += 1
    create(worker)
    worker.store.pause_trigger("after", reason="")
    ended(worker.store, trigger_name="nightly")
    worker.clock.shift_seconds += 1
    worker.store.resume_trigger("after")
    look(worker)
    assert made(worker) == []


def test_an_end_that_is_committed_late_counts_once(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    create(worker)
    late = ended(worker.store, trigger_name="nightly")
    with monkeypatch.context() as unseen:
        unseen.setattr(worker.store, "succeeded_since", lambda *_args, **_named: [])
        look(worker, after=30)
    for _ in range(4):
        look(worker, after=10)
    assert outcomes(worker, "after") == [(f"job {late}", "fired")]


def test_more_than_a_page_of_them_is_gone_through(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looker, "PAGE", 2)
    create(worker)
    for _ in range(5):
        ended(worker.store, trigger_name="nightly")
        worker.clock.shift_seconds += 61
    look(worker)
    assert len(made(worker)) == 5


def test_a_circle_ends(worker: FakeWorker) -> None:
    create(worker, "a", when={"job": {"trigger": "b"}})
    create(worker, "b", when={"job": {"trigger": "a"}})
    ended(worker.store, trigger_name="a")
    for _ in range(2 * looker.LONGEST_CHAIN):
        look(worker)
        for job in [*made(worker, "a"), *made(worker, "b")]:
            if job.state is JobState.QUEUED:
                succeed(worker.store, job.id)
    assert len(made(worker, "a")) + len(made(worker, "b")) == looker.LONGEST_CHAIN + 1
    skipped = [each for each in outcomes(worker, "a") + outcomes(worker, "b") if each[1] == "skipped"]
    assert len(skipped) == 1


def test_of_many_successes_at_once_the_git_host_is_asked_once(worker: FakeWorker) -> None:
    create(worker, policy={"skip_if_same_inputs": True})
    for _ in range(3):
        ended(worker.store, trigger_name="nightly")
    asked = list[Interruption]()
    worker.source.before = asked.append
    look(worker)
    assert len(made(worker)) == 3
    assert len(asked) == 1


def test_where_teams_are_isolated_another_teams_success_starts_nothing(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, teams_isolated=True)
    worker.store.create_trigger(a_trigger("nightly", team="speech"))
    create(worker, team="vision", roles=("operator",))
    ended(worker.store, trigger_name="nightly", team="speech")
    look(worker)
    assert made(worker) == []
    assert "there is no trigger 'nightly'" in events(worker.store, "after")[0].reason
    mine = ended(worker.store, trigger_name="nightly", team="vision")
    look(worker)
    assert outcomes(worker) == [(f"job {mine}", "fired")]
