"""Each line of a worker that is part of a job's work says which job, attempt and request it is of; on fakes."""

import logging
from pathlib import Path

import pytest

from shared.alerts.model import AlertEvent, Alerting, Trial
from shared.errors import Code, InfrastructureError, StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.records import Claim, Ending
from shared.logs import job_context
from shared.scheduling.limits import Limits
from tests.fakes.runner import FakeHost
from tests.fakes.store import MemoryStore
from tests.fakes.worker import FakeWorker
from tests.support.clocks import HeldClock
from tests.support.jobs import DOCKER_AWAY, claimed, running
from tests.support.log_lines import Log
from tests.support.threads import at_once
from tests.support.waiting import wait_until
from worker.alerts.seam import Answer, News, Verdict
from worker.alerts.sender import AlertSender
from worker.attempt.lease import LeaseKeeper
from worker.host.heartbeat import Heartbeat
from worker.runners.seam import AttemptSpec, Handle

LONG_AGO = 3600


def whose(log: Log) -> set[tuple[object, object, object]]:
    return {(line.get("job_id"), line.get("attempt"), line.get("request_id")) for line in log.objects}


def of(claim: Claim) -> tuple[object, object, object]:
    return claim.job.id, claim.attempt.number, claim.job.request_id


def messages(log: Log) -> list[str]:
    return [line["message"] for line in log.objects]


def test_an_attempt_from_its_start_to_its_end(worker: FakeWorker, log: Log) -> None:
    job_id = worker.submit(job={"request_id": "nightly.7"})
    worker.run(job_id)

    assert messages(log) == ["running", "attempt ended"]
    assert whose(log) == {(job_id, 1, "nightly.7")}


def test_an_attempt_that_breaks(worker: FakeWorker, log: Log) -> None:
    def fault(_poll: int) -> None:
        raise ZeroDivisionError

    worker.runner.before_poll = fault
    job_id = worker.submit(job={"request_id": "nightly.7"})
    worker.run(job_id)

    assert messages(log) == ["running", "attempt broke", "attempt ended"]
    assert whose(log) == {(job_id, 1, "nightly.7")}


def test_many_attempts_at_once_never_mix(worker: FakeWorker, log: Log) -> None:
    worker = worker.restarted(options={"slots": 8})
    ids = [worker.submit(job={"request_id": f"r{number}"}) for number in range(8)]
    at_once(8, lambda number: worker.run(ids[number]))

    assert whose(log) == {(job_id, 1, f"r{number}") for number, job_id in enumerate(ids)}
    assert len(log.objects) == 16


def test_nothing_of_a_job_is_left_in_its_thread(worker: FakeWorker, log: Log) -> None:
    worker.run(worker.submit(job={"request_id": "r1"}))
    before = len(log.objects)
    worker.store.down = True
    worker.sweep.once(reconcile=False)

    assert [line for line in log.objects[before:] if {"job_id", "attempt", "request_id"} & line.keys()] == []
    assert "put off" in messages(log)[before:]


def test_a_job_that_is_sent_when_another_has_ended_is_not_that_one(worker: FakeWorker, log: Log) -> None:
    later = worker.submit(job={"request_id": "r2"})
    worker.clock.shift_seconds += LONG_AGO
    worker.queue.down = True
    first = worker.submit(job={"request_id": "r1"})
    worker.run(first)

    found = {(line["message"], line["job_id"], line["request_id"]) for line in log.objects if "job_id" in line}
    assert ("message not sent; the sweep will send it", later, "r2") in found
    assert ("attempt ended", first, "r1") in found


def test_the_lease_in_a_thread_of_its_own(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(claim: Claim, *, lease_seconds: float) -> None:
        raise StoreUnavailable("The job store does not answer.")

    store = MemoryStore()
    held = running(store, request_id="nightly.7")
    monkeypatch.setattr(store, "renew", fail)
    with job_context(held.job, attempt=1), LeaseKeeper(held, store=store, lease_seconds=0.03):
        wait_until(lambda: log.text, timeout_seconds=5, every_seconds=0.005)

    assert set(messages(log)) == {"lease not renewed"}
    assert whose(log) == {of(held)}


def test_a_job_that_nobody_took(worker: FakeWorker, log: Log) -> None:
    job_id = worker.submit(job={"queue_timeout_seconds": 60, "request_id": "nightly.7", "queue": "nobody-serves-it"})
    worker.clock.shift_seconds += LONG_AGO
    worker.sweep.once(reconcile=False)

    assert messages(log) == ["gave up a job that nobody took"]
    assert whose(log) == {(job_id, None, "nightly.7")}


def test_an_attempt_without_a_supervisor(worker: FakeWorker, log: Log) -> None:
    held = claimed(worker.store, request_id="nightly.7")
    worker.clock.shift_seconds += LONG_AGO
    worker.sweep.once(reconcile=False)

    assert "attempt has no supervisor; sending it again" in messages(log)
    assert whose(log) == {of(held)}


def test_what_an_ended_attempt_left(worker: FakeWorker, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: Handle) -> None:
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, f"Docker does not remove {handle.id}.")

    monkeypatch.setattr(worker.runner, "remove", refuse)
    job_id = worker.submit()
    worker.run(job_id)
    worker.sweep.once(reconcile=True)

    assert {(line["message"], line["job_id"], line["attempt"]) for line in log.objects if "job_id" in line} >= {
        ("removing what an ended attempt left", job_id, 1),
        ("not removed", job_id, 1),
    }


def test_an_attempt_of_a_lost_host(worker: FakeWorker, log: Log) -> None:
    held = running(worker.store, request_id="nightly.7")
    watching = worker.restarted(host=FakeHost(), options={"worker_host": "gpu-2"})
    for _ in range(4 * LONG_AGO // 100):
        worker.clock.shift_seconds += 100
        watching.turn(reconcile=False)

    assert "host is lost" in messages(log)
    assert {each for each in whose(log) if each[0]} == {of(held)}


def test_attempts_that_are_frozen_while_the_store_is_away(
    worker: FakeWorker, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: Handle) -> None:
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, f"Docker does not pause {handle.id}.")

    monkeypatch.setattr(worker.runner, "pause", refuse)
    ids = {worker.runner.start_or_attach(AttemptSpec(f"job-{n}", n, None, "true", Path())).name for n in (1, 2)}
    clock = HeldClock()
    heartbeat = Heartbeat(worker.settings, worker.store, worker.runner, worker.here, clock=clock.monotonic)
    clock.pass_seconds(LONG_AGO)
    heartbeat.guard()

    told = [line for line in log.objects if line["message"] == "put off"]
    assert {f"retrain-{line['job_id']}-{line['attempt']}" for line in told} == ids


def test_a_run_that_was_left_open(worker: FakeWorker, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    held = running(worker.store, request_id="nightly.7")
    worker.store.finish(held, Ending(JobState.FAILED, DOCKER_AWAY, leaves_run_open=True))
    monkeypatch.setattr(worker.tracking, "find_run", lambda *_names, **_more: logging.warning("looking for a run"))
    worker.sweep.once(reconcile=False)

    assert "looking for a run" in messages(log)
    assert whose(log) == {of(held)}


class Refusing:
    """A channel that takes nothing."""

    def send(self, news: News | Trial) -> Answer:
        """Refuse."""
        return Answer(Verdict.REFUSED, "HTTP 400")

    send_trial = send


def test_an_alert(log: Log) -> None:
    alerting = Alerting(frozenset(AlertEvent), frozenset({"team"}))
    store = MemoryStore(limits=Limits(per_key=9), alerting=alerting)
    held = running(store, request_id="nightly.7")
    AlertSender(store, {"team": Refusing()}).once()

    assert messages(log) == ["alert given up"]
    assert whose(log) == {of(held)}
