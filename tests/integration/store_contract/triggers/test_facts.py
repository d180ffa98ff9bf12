"""What a settlement decides on: firings, jobs that have not ended, inputs, and what waits already."""

from datetime import timedelta
from typing import Any

import pytest

from shared.alerts.model import Alert, AlertEvent
from shared.errors import LeaseLost
from shared.jobs.model import JobState
from shared.jobs.records import Resolution
from shared.jobs.store import JobStore
from shared.jobs.triggers import EVENTS_KEPT_DAYS, Entry, Occurrence, Outcome, Settled, TriggerState, Verdict
from shared.triggers.inputs import inputs_of
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, claim, new_job
from tests.support.kept_triggers import (
    NAME,
    REQUEST,
    a_trigger,
    add,
    entry,
    events,
    look,
    nothing_is_due,
    occurrence,
    outcomes,
    report,
    send,
    settle,
    take,
)

HOUR, DAY = 3600.0, 86400.0
SAME = {"skip_if_same_inputs": True}
INPUTS = dict(inputs_of(REQUEST, commit_sha="a" * 40, data=None, base_model_version=None) or {})


def job_of(settled: Settled) -> str:
    """The id of the job that it made."""
    assert settled.job is not None, settled.event
    return settled.job.id


def end(store: JobStore, settled: Settled, *, success: bool = True) -> str:
    """Let the job that was fired end."""
    return store.finish(claim(store, job_of(settled)), SUCCEEDED if success else FAILED).id


def test_what_the_cooldown_holds_back_waits_until_it_is_over(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 60})
    send(store, "signal 1")
    clock.pass_seconds(10)
    waits = send(store, "signal 2").event
    assert (waits.outcome, waits.until) == (Outcome.WAITING, clock.now + timedelta(seconds=50))
    assert waits.reason == "cooldown until 2030-01-01 00:01:00 UTC"
    assert store.get_trigger(NAME).look_at == waits.until
    assert nothing_is_due(store)
    clock.pass_seconds(50)
    [settled] = look(store)
    assert (settled.event.number, settled.event.outcome, settled.event.until) == (waits.number, Outcome.FIRED, None)
    assert (settled.event.recorded_at, settled.event.last_at) == (waits.recorded_at, clock.now)


def test_a_firing_by_hand_begins_a_cooldown(store: JobStore) -> None:
    add(store, policy={"cooldown": 60})
    store.fire_trigger(NAME, occurrence(store, "by hand"), new_job(trigger_name=NAME))
    assert send(store, "signal 1").event.outcome is Outcome.WAITING


def test_a_cooldown_outlasts_what_is_kept_of_events(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 200 * DAY})
    send(store, "signal 1")
    clock.pass_seconds(100 * DAY)
    assert store.forget_trigger_events(older_than_days=EVENTS_KEPT_DAYS, most=1000) == 1
    assert send(store, "signal 2").event.outcome is Outcome.WAITING


def test_of_what_waits_only_the_newest_of_each_subject_is_kept(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 60})
    send(store, "first")
    for key, subject in (("main 1", "main"), ("dev 1", "dev"), ("main 2", "main"), ("main 3", "main")):
        send(store, key, subject=subject)
    assert outcomes(store)[1:] == [
        ("main 1", "superseded"),
        ("dev 1", "waiting"),
        ("main 2", "superseded"),
        ("main 3", "waiting"),
    ]
    newest = events(store)[0].number
    assert events(store)[1].reason == f"event {newest} came while it waited"
    clock.pass_seconds(60)
    assert [each.event.key for each in look(store) if each.job] == ["dev 1"]
    clock.pass_seconds(60)
    assert [each.event.key for each in look(store) if each.job] == ["main 3"]
    assert report(store, "main 1", subject="main").outcome is Outcome.SUPERSEDED


def test_one_that_fires_ends_what_waited_before_it(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 60})
    send(store, "first", subject="data")
    send(store, "earlier", subject="data")
    store.change_trigger(NAME, a_trigger())
    look(store, entry(occurrence(store, "later", subject="data")))
    assert outcomes(store)[1:] == [("earlier", "superseded"), ("later", "fired")]


def test_max_per_day_counts_between_midnights_of_its_time_zone(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"max_per_day": 2, "time_zone": "America/New_York"})  # midnight there is at five in UTC
    fired = [send(store, f"signal {number}", subject=str(number)).event.outcome for number in range(2)]
    assert fired == [Outcome.FIRED, Outcome.FIRED]
    held = send(store, "signal 2", subject="2").event
    assert held.reason == "fired 2 times today, and max_per_day is 2"
    assert held.until == clock.now + timedelta(hours=5)
    clock.pass_seconds(5 * HOUR)
    assert [each.event.key for each in look(store) if each.job] == ["signal 2"]
    assert send(store, "signal 3", subject="3").event.outcome is Outcome.FIRED
    assert send(store, "signal 4", subject="4").event.until == clock.now + timedelta(days=1)


def test_a_day_s_firings_are_counted_also_beyond_what_is_kept_of_events(store: JobStore) -> None:
    add(store, policy={"max_per_day": 3})
    for number in range(3):
        send(store, f"signal {number}")
    assert store.forget_trigger_events(older_than_days=90, most=1) == 0
    assert send(store, "signal 3").event.outcome is Outcome.WAITING


@pytest.mark.parametrize("ends", [True, False])
def test_while_a_job_has_not_ended_another_is_skipped(store: JobStore, ends: bool) -> None:
    add(store, policy={"if_running": "skip"})
    first = send(store, "signal 1")
    second = send(store, "signal 2").event
    assert (second.outcome, second.reason) == (Outcome.SKIPPED, f"still running: job {job_of(first)}")
    if ends:
        end(store, first)
    else:
        store.cancel(job_of(first), force=False)
    assert send(store, "signal 3").event.outcome is Outcome.FIRED


def test_a_queue_takes_one_after_another(store: JobStore) -> None:
    add(store, policy={"if_running": "queue"})
    jobs = {job_of(send(store, f"signal {number}")) for number in range(3)}
    assert {store.get(job_id).state for job_id in jobs} == {JobState.QUEUED}
    assert len(jobs) == 3


def test_older_jobs_are_cancelled_with_the_firing_of_a_newer_one(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"if_running": "queue"})
    waiting, running, over = (send(store, f"signal {number}") for number in range(3))
    held = claim(store, job_of(running))
    store.started(held, runner="docker", container="c")
    end(store, over)
    person_s = store.submit(new_job()).job.id
    store.change_trigger(NAME, a_trigger(policy={"if_running": "cancel_older"}))
    look(store)
    newest = send(store, "signal 3")
    assert [job.id for job in newest.ended] == [job_of(waiting)]
    states = {name: store.get(job_of(each)).state for name, each in (("waiting", waiting), ("running", running))}
    assert states == {"waiting": JobState.CANCELLED, "running": JobState.CANCELLING}
    assert store.get(job_of(over)).state is JobState.SUCCEEDED
    assert store.get(job_of(newest)).state is JobState.QUEUED
    assert store.get(person_s).state is JobState.QUEUED
    assert send(store, "signal 4").event.outcome is Outcome.FIRED
    assert store.get(job_of(newest)).state is JobState.CANCELLED


def found(store: JobStore, key: str, **inputs: Any) -> Settled:
    """A look finds this with the inputs that its job would have."""
    store.change_trigger(NAME, a_trigger(policy=SAME))
    new = new_job(trigger_name=NAME, request=REQUEST)
    [settled] = look(store, Entry(occurrence=occurrence(store, key), new=new, inputs={**INPUTS, **inputs}))
    return settled


def succeed(store: JobStore, settled: Settled, **resolved: Any) -> None:
    held = claim(store, job_of(settled))
    store.resolve(held, Resolution(**{"commit_sha": "a" * 40, **resolved}))
    store.finish(held, SUCCEEDED)


def test_the_inputs_of_the_last_success_are_not_trained_on_again(store: JobStore, clock: HeldClock) -> None:
    add(store, policy=SAME)
    succeed(store, found(store, "1"))
    clock.pass_seconds(1)
    skipped = found(store, "2").event
    assert (skipped.outcome, skipped.reason) == (Outcome.SKIPPED, "same inputs as the trigger's last success")
    for number, changed in enumerate(
        ({"commit": "b" * 40}, {"data": "d"}, {"watched": "w"}, {"base_model_version": "2"})
    ):
        assert found(store, f"3 {number}", **changed).event.outcome is Outcome.FIRED


def test_a_failure_is_tried_again_and_unknown_inputs_are_too(store: JobStore, clock: HeldClock) -> None:
    add(store, policy=SAME)
    end(store, found(store, "1"), success=False)
    clock.pass_seconds(1)
    succeed(store, found(store, "2"))
    clock.pass_seconds(1)
    end(store, found(store, "3", commit="b" * 40), success=False)
    assert found(store, "4", commit="b" * 40).event.outcome is Outcome.FIRED  # not as the last that succeeded
    unknown = Entry(occurrence=occurrence(store, "5"), new=new_job(trigger_name=NAME, request=REQUEST))
    store.change_trigger(NAME, a_trigger(policy=SAME))
    assert look(store, unknown)[0].event.outcome is Outcome.FIRED


def test_a_trigger_whose_last_jobs_all_failed_is_paused_and_told_of(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"disable_after": 2})
    add(store, "other", policy={"disable_after": 2})
    end(store, send(store, "signal 1"), success=False)
    clock.pass_seconds(1)
    end(store, send(store, "signal 2"))
    clock.pass_seconds(1)
    end(store, send(store, "signal 3"), success=False)
    assert store.pause_failing_triggers() == []
    clock.pass_seconds(1)
    last = end(store, send(store, "signal 4"), success=False)
    early = send(store, "signal 5").event  # before the sweep comes by
    assert (early.outcome, early.job_id) == (Outcome.SKIPPED, None)
    assert f"the last 2 jobs failed, the newest is {last}" in early.reason
    report(store, "signal 6")
    due = take(store)
    [paused] = store.pause_failing_triggers()
    assert (paused.name, paused.state, paused.paused_at) == (NAME, TriggerState.PAUSED, clock.now)
    assert paused.paused_reason == f"the last 2 jobs failed, the newest is {last}; disable_after is that many"
    assert store.get_trigger(NAME) == paused
    assert store.get_trigger("other").state is TriggerState.ACTIVE
    assert store.pause_failing_triggers() == []
    with pytest.raises(LeaseLost):
        settle(store, due)
    assert [alert.job_id for alert in alerts(store) if alert.event is AlertEvent.TRIGGER_PAUSED] == [last]


def test_after_it_is_resumed_a_trigger_s_failures_are_counted_anew(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"disable_after": 1})
    end(store, send(store, "signal 1"), success=False)
    assert len(store.pause_failing_triggers()) == 1
    clock.pass_seconds(1)
    store.resume_trigger(NAME)
    assert store.pause_failing_triggers() == []
    look(store)
    end(store, send(store, "signal 2"), success=False)
    assert len(store.pause_failing_triggers()) == 1


def test_a_cancelled_job_is_no_failure(store: JobStore) -> None:
    add(store, policy={"disable_after": 1})
    store.cancel(job_of(send(store, "signal 1")), force=False)
    assert store.pause_failing_triggers() == []


def test_old_events_and_those_beyond_the_newest_are_forgotten(store: JobStore, clock: HeldClock) -> None:
    add(store)
    add(store, "other")
    note(store, clock, *(f"{number}" for number in range(6)))
    assert store.forget_trigger_events(older_than_days=90, most=4) == 2
    assert [key for key, _ in outcomes(store)] == ["2", "3", "4", "5"]
    clock.pass_seconds(90 * DAY)
    note(store, clock, "6")
    assert store.forget_trigger_events(older_than_days=90, most=5) == 0
    clock.pass_seconds(1)
    assert store.forget_trigger_events(older_than_days=90, most=4) == 4
    assert outcomes(store) == [("6", "skipped")]


def test_what_waits_is_never_forgotten(store: JobStore, clock: HeldClock) -> None:
    add(store)
    report(store, "signal 1")
    clock.pass_seconds(91 * DAY)
    due = take(store)
    assert store.forget_trigger_events(older_than_days=90, most=0) == 0
    assert [each.key for each in due.waiting] == ["signal 1"]


def test_a_firing_is_forgotten_when_it_is_old(store: JobStore, clock: HeldClock) -> None:
    add(store)
    fired = send(store, "signal 1")
    clock.pass_seconds(3 * DAY)
    assert store.forget_trigger_events(older_than_days=90, most=0) == 1
    assert store.get(job_of(fired)).trigger_name == NAME


def alerts(store: JobStore) -> list[Alert]:
    """All that a sender gets, sent."""
    sent = []
    while (alert := store.take_alert({"discord"}, lease_seconds=60)) is not None:
        store.alert_sent(alert)
        sent.append(alert)
    return sent


def note(store: JobStore, clock: HeldClock, *keys: str) -> None:
    """Let a look note these as skipped."""
    store.change_trigger(NAME, a_trigger())
    skipped = Verdict(Outcome.SKIPPED, "because")
    look(store, *(entry(Occurrence(key, clock.now), verdict=skipped) for key in keys))
