"""Looks at data, on fakes: what a first look, a change, a pause and a silent host lead to, and what the job trains."""

import threading
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Code, InfrastructureError
from shared.jobs.model import Job
from shared.jobs.records import JobFilter
from shared.jobs.triggers import TriggerEvent
from tests.fakes.worker import FakeWorker
from tests.support.jobs import succeed
from tests.support.kept_triggers import REQUEST, a_trigger, events
from tests.support.waiting import wait_until
from worker.interruption import WorkerStopping

DATA = "https://git.example/data.git"
ONE, TWO = "1" * 40, "2" * 40
EVERY = 600


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    worker = FakeWorker.new(tmp_path)
    worker.source.tips[DATA] = ONE
    return worker


def watch(worker: FakeWorker, *, template: dict[str, Any] | None = None, **fields: Any) -> None:
    """A trigger on the data, that was looked at once."""
    body = {**REQUEST, "dataset_repo": f"{DATA}@main:set", **(template or {})}
    worker.store.create_trigger(a_trigger(**{"when": {"dataset": {}}, **fields}, template=body))
    assert worker.triggers.once()


def look(worker: FakeWorker, *, after: float = EVERY) -> TriggerEvent:
    """What the look after so many seconds led to."""
    worker.clock.shift_seconds += after
    assert worker.triggers.once()
    return events(worker.store)[0]


def jobs(worker: FakeWorker) -> list[Job]:
    return list(worker.store.list(JobFilter(), limit=9))


def test_the_first_look_notes_what_is_there_and_fires_nothing(worker: FakeWorker) -> None:
    watch(worker)
    (noted,) = events(worker.store)
    assert noted.reason == "revision is 111111111111…; from now on a change fires"
    assert (noted.outcome, jobs(worker)) == ("unchanged", [])
    assert not worker.triggers.once()


def test_looks_that_find_the_same_are_one_line(worker: FakeWorker) -> None:
    watch(worker)
    look(worker)
    again = look(worker)
    assert (again.outcome, again.reason, again.times) == ("unchanged", "revision is still 111111111111…", 2)
    assert jobs(worker) == []


def test_a_change_fires_one_job_on_the_revision_that_was_seen(worker: FakeWorker) -> None:
    watch(worker)
    worker.source.tips[DATA] = TWO
    fired = look(worker)
    assert (fired.outcome, fired.subject) == ("fired", "data")
    assert fired.facts == {"revision": TWO, "before": ONE}
    (job,) = jobs(worker)
    assert (job.id, job.dataset_repo) == (fired.job_id, f"{DATA}@{TWO}:set")
    assert job.request["dataset_repo"] == f"{DATA}@main:set"
    assert look(worker).reason == "revision is still 222222222222…"
    assert len(jobs(worker)) == 1


def test_data_that_goes_back_and_forth_fires_each_time(worker: FakeWorker) -> None:
    watch(worker)
    for tip in (TWO, ONE, TWO):
        worker.source.tips[DATA] = tip
        assert look(worker).outcome == "fired"
    assert len({job.triggered_by["key"] for job in jobs(worker) if job.triggered_by}) == 3


def test_other_data_than_the_templates_is_watched_and_not_given_to_the_job(worker: FakeWorker) -> None:
    other = "https://git.example/other.git"
    worker.source.tips[other] = ONE
    watch(worker, when={"dataset": {"address": f"{other}@main"}})
    worker.source.tips[other] = TWO
    look(worker)
    (job,) = jobs(worker)
    assert job.dataset_repo is None
    assert job.triggered_by
    assert job.triggered_by["watched"] == TWO


def test_a_change_during_a_pause_is_told_and_does_not_fire(worker: FakeWorker) -> None:
    watch(worker)
    worker.store.pause_trigger("nightly", reason="maintenance")
    worker.source.tips[DATA] = TWO
    worker.clock.shift_seconds += EVERY
    worker.store.resume_trigger("nightly")
    noted = look(worker, after=1)
    told = "revision is 222222222222… (it was 111111111111… before it was paused); from now on a change fires"
    assert (noted.reason, jobs(worker)) == (told, [])
    worker.source.tips[DATA] = ONE
    assert look(worker).outcome == "fired"


def test_a_host_that_does_not_answer_is_asked_again_after_longer_and_longer_pauses(worker: FakeWorker) -> None:
    watch(worker)
    pauses = []
    for _ in range(6):
        worker.source.errors = [InfrastructureError(Code.GIT_UNREACHABLE, f"{DATA} could not be fetched.")]
        noted = look(worker, after=EVERY)
        assert noted.reason == f"unreachable: {DATA} could not be fetched."
        trigger = worker.store.get_trigger("nightly")
        assert trigger.look_at
        assert trigger.looked_at
        pauses.append(round((trigger.look_at - trigger.looked_at).total_seconds()))
    assert pauses == [30, 60, 120, 240, 480, EVERY]
    worker.source.tips[DATA] = TWO
    assert look(worker).facts["before"] == ONE
    assert "failures" not in worker.store.get_trigger("nightly").seen


def test_the_same_inputs_again_are_skipped_and_the_job_trains_what_was_compared(worker: FakeWorker) -> None:
    worker.tracking.base_models["models:/digits@champion"] = "3"
    watch(worker, policy={"skip_if_same_inputs": True}, template={"base_model": "models:/digits@champion"})
    worker.source.tips |= {DATA: TWO, REQUEST["git_uri"]: "c" * 40}
    assert look(worker).outcome == "fired"
    (job,) = jobs(worker)
    assert (job.commit_sha, job.dataset_repo, job.base_model_version) == ("c" * 40, f"{DATA}@{TWO}:set", "3")
    succeed(worker.store, job.id)

    worker.source.tips[DATA] = ONE
    assert look(worker).outcome == "fired"
    worker.source.tips[DATA] = TWO
    skipped = look(worker)
    assert (skipped.outcome, skipped.reason) == ("skipped", "same inputs as the trigger's last success")
    worker.tracking.base_models["models:/digits@champion"] = "4"
    worker.source.tips[DATA] = ONE
    look(worker)
    worker.source.tips[DATA] = TWO
    assert look(worker).outcome == "fired"


def test_what_neither_names_nor_can_be_looked_at_is_told(worker: FakeWorker) -> None:
    watch(worker, template={"dataset_repo": "iris"})
    assert "'iris' is not an address that can be looked at" in events(worker.store)[0].reason


def test_slow_looks_hold_up_no_tick_and_a_stop_gives_them_back(worker: FakeWorker) -> None:
    release = threading.Event()

    def slow(_interruption: Any) -> None:
        assert release.wait(20)
        raise WorkerStopping

    worker.source.before = slow
    body = {**REQUEST, "dataset_repo": f"{DATA}@main"}
    for number in range(6):
        worker.store.create_trigger(a_trigger(f"data-{number}", when={"dataset": {}}, template=body))
    worker.store.create_trigger(a_trigger("ticks", when={"every": 10}))
    stopping = threading.Event()
    thread = threading.Thread(target=worker.triggers.run_until, args=(stopping,))
    thread.start()
    try:
        wait_until(lambda: worker.store.get_trigger("ticks").looked_at, what="a first look at the clock")
        worker.clock.shift_seconds += 11
        wait_until(lambda: jobs(worker), what="a tick that fires while all slow looks hang")
        assert [name for name in range(6) if worker.store.get_trigger(f"data-{name}").looked_at] == []
    finally:
        stopping.set()
        release.set()
        thread.join()
    triggers = [worker.store.get_trigger(f"data-{number}") for number in range(6)]
    assert sum(each.looked_at is not None for each in triggers) == 4
    assert all(each.look_at and each.look_at <= worker.clock() for each in triggers)


def test_data_that_waits_is_superseded_and_the_job_trains_the_newest(worker: FakeWorker) -> None:
    watch(worker, policy={"cooldown": 3 * EVERY})
    worker.source.tips[DATA] = TWO
    assert look(worker).outcome == "fired"
    tips = ["3" * 40, "4" * 40]
    for tip in tips:
        worker.source.tips[DATA] = tip
        assert look(worker).outcome == "waiting"
    worker.clock.shift_seconds += 1.5 * EVERY
    assert worker.triggers.once()
    outcomes = {each.facts["revision"]: each.outcome for each in events(worker.store) if "before" in each.facts}
    assert outcomes == {TWO: "fired", tips[0]: "superseded", tips[1]: "fired"}
    assert {job.dataset_repo for job in jobs(worker)} == {f"{DATA}@{each}:set" for each in (TWO, tips[1])}


def test_a_tick_compares_data_outside_git_too(tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    worker = FakeWorker.new(tmp_path, trigger_folders=str(folder))
    body = {**REQUEST, "dataset_repo": f"file://{folder}"}
    policy = {"skip_if_same_inputs": True}
    worker.store.create_trigger(a_trigger(when={"every": EVERY}, policy=policy, template=body))
    assert worker.triggers.once()
    assert look(worker).outcome == "fired"
    succeed(worker.store, jobs(worker)[0].id)
    skipped = look(worker)
    assert (skipped.outcome, skipped.reason) == ("skipped", "same inputs as the trigger's last success")
    (folder / "more.csv").write_text("1")
    assert look(worker).outcome == "fired"


def test_a_change_of_other_data_than_the_templates_is_not_the_same_input(tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    worker = FakeWorker.new(tmp_path, trigger_folders=str(folder))
    watch(worker, when={"dataset": {"address": f"file://{folder}"}}, policy={"skip_if_same_inputs": True})
    for name in ("a", "b"):
        (folder / name).touch()
        assert look(worker).outcome == "fired"
        succeed(worker.store, jobs(worker)[0].id)
    (folder / "b").unlink()
    assert look(worker).outcome == "fired"


def test_data_that_only_trainings_can_reach_is_not_compared(worker: FakeWorker) -> None:
    body = {**REQUEST, "dataset_repo": "http://inside.example/data.zip"}
    policy = {"skip_if_same_inputs": True}
    worker.store.create_trigger(a_trigger(when={"every": EVERY}, policy=policy, template=body))
    assert worker.triggers.once()
    for _ in range(2):
        assert look(worker).outcome == "fired"
        succeed(worker.store, jobs(worker)[0].id)
