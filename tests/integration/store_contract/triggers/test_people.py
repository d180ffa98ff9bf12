"""What every store does for people with triggers: create, change, pause, resume, fire by hand, delete, and tell."""

from datetime import timedelta

import pytest

from shared.errors import TriggerChanged, TriggerExists, TriggerNotFound
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.jobs.triggers import Kind, Outcome, TriggerState, Verdict
from tests.support.clocks import HeldClock
from tests.support.jobs import SUCCEEDED, claim, new_job
from tests.support.kept_triggers import (
    BY_THE_MINUTE,
    NAME,
    a_trigger,
    add,
    events,
    look,
    nothing_is_due,
    occurrence,
    outcomes,
    report,
    send,
    take,
)
from tests.support.threads import at_once


def test_a_trigger_is_kept_as_it_was_written(store: JobStore, clock: HeldClock) -> None:
    new = a_trigger(
        when=BY_THE_MINUTE, policy={"cooldown": 60}, source="nightly.yaml", secret=b"sealed-1", hook_secret=b"sealed-2"
    )
    made = store.create_trigger(new)
    assert (made.template, made.when, made.policy, made.kind) == (new.template, new.when, new.policy, Kind.EVERY)
    assert (made.name, made.version, made.state, made.source) == (NAME, 1, TriggerState.ACTIVE, "nightly.yaml")
    assert {made.created_at, made.changed_at, made.since, made.look_at} == {clock.now}
    assert (made.looked_at, made.fired_at, made.paused_at, made.paused_reason, made.seen) == (None, None, None, "", {})
    assert (made.had_secret, made.had_hook_secret) == (True, True)
    assert store.get_trigger(NAME) == made
    assert store.secret_of_trigger(NAME) == b"sealed-1"
    assert "sealed" not in repr(new)


def test_a_name_is_given_once_and_is_free_again_when_its_trigger_is_deleted(store: JobStore) -> None:
    first = add(store)
    report(store, "signal 1")
    with pytest.raises(TriggerExists, match=NAME):
        store.create_trigger(a_trigger())
    store.delete_trigger(NAME)
    again = store.create_trigger(a_trigger())
    assert again.id != first.id
    assert events(store) == []


def test_of_eight_that_create_one_trigger_one_does(store: JobStore) -> None:
    def create(_number: int) -> str:
        try:
            return store.create_trigger(a_trigger()).id
        except TriggerExists:
            return ""

    assert len([each for each in at_once(8, create) if each]) == 1


def test_what_there_is_not_is_not_found(store: JobStore) -> None:
    about = occurrence(store, "key", name=store.create_trigger(a_trigger("another")).name)
    for ask in (
        lambda: store.get_trigger(NAME),
        lambda: store.change_trigger(NAME, a_trigger()),
        lambda: store.delete_trigger(NAME),
        lambda: store.pause_trigger(NAME, reason=""),
        lambda: store.resume_trigger(NAME),
        lambda: store.secret_of_trigger(NAME),
        lambda: store.report(NAME, about),
        lambda: store.fire_trigger(NAME, about, new_job()),
        lambda: store.trigger_events(NAME, limit=1),
    ):
        with pytest.raises(TriggerNotFound, match=NAME):
            ask()


def test_triggers_are_listed_by_name_and_kind(store: JobStore) -> None:
    for name, when in (("b", BY_THE_MINUTE), ("a", {"signal": {}}), ("c", BY_THE_MINUTE)):
        store.create_trigger(a_trigger(name, when=when))
    assert [each.name for each in store.list_triggers()] == ["a", "b", "c"]
    assert [each.name for each in store.list_triggers(Kind.EVERY)] == ["b", "c"]
    assert store.list_triggers(Kind.GIT) == []


def test_a_change_keeps_what_was_seen_unless_the_condition_changes(store: JobStore, clock: HeldClock) -> None:
    made = store.create_trigger(a_trigger(when=BY_THE_MINUTE))
    clock.pass_seconds(30)
    look(store, seen={"revision": "4f2a"}, since=clock.now, look_in=60)
    clock.pass_seconds(5)
    changed = store.change_trigger(NAME, a_trigger(when=BY_THE_MINUTE, policy={"cooldown": 5}), version=1)
    assert (changed.version, changed.seen, changed.policy["cooldown"]) == (2, {"revision": "4f2a"}, 5)
    assert (changed.since, changed.changed_at, changed.look_at) == (clock.now - timedelta(seconds=5), *[clock.now] * 2)
    assert (changed.id, changed.created_at) == (made.id, made.created_at)
    other = store.change_trigger(NAME, a_trigger(when={"every": 90}))
    assert (other.version, other.seen, other.since) == (3, {}, clock.now)


def test_a_change_for_an_older_version_is_refused(store: JobStore) -> None:
    add(store)
    store.change_trigger(NAME, a_trigger(policy={"cooldown": 5}), version=1)
    with pytest.raises(TriggerChanged, match="was changed"):
        store.change_trigger(NAME, a_trigger(), version=1)
    assert store.get_trigger(NAME).version == 2


def test_a_change_replaces_the_credentials_and_keeps_what_senders_sign_with_unless_it_brings_that(
    store: JobStore,
) -> None:
    pushed = {"git": {"repository": "github.com/user/iris"}}
    store.create_trigger(a_trigger(when=pushed, secret=b"old", hook_secret=b"hook"))
    changed = store.change_trigger(NAME, a_trigger(when=pushed))
    assert (changed.had_secret, changed.had_hook_secret, store.secret_of_trigger(NAME)) == (False, True, None)
    [(trigger, hook)] = store.hook_secrets(Kind.GIT)
    assert (trigger.name, hook, store.hook_secrets(Kind.SIGNAL)) == (NAME, b"hook", [])
    store.change_trigger(NAME, a_trigger(when=pushed, secret=b"new", hook_secret=b"hook 2"))
    assert store.secret_of_trigger(NAME) == b"new"
    assert store.hook_secrets(Kind.GIT)[0][1] == b"hook 2"


def test_what_waits_when_the_condition_is_changed_does_not_fire(store: JobStore) -> None:
    add(store)
    report(store, "signal 1")
    store.change_trigger(NAME, a_trigger(policy={"cooldown": 5}))
    assert outcomes(store) == [("signal 1", "waiting")]
    store.change_trigger(NAME, a_trigger(when=BY_THE_MINUTE))
    assert outcomes(store) == [("signal 1", "skipped")]
    assert events(store)[0].reason == "the trigger's condition was changed while it waited"
    assert take(store).waiting == ()


def test_a_paused_trigger_notes_what_comes_and_fires_nothing_until_it_is_resumed(
    store: JobStore, clock: HeldClock
) -> None:
    add(store)
    report(store, "before")
    paused = store.pause_trigger(NAME, reason="the data is broken")
    assert (paused.state, paused.paused_at, paused.paused_reason) == ("paused", clock.now, "the data is broken")
    clock.pass_seconds(60)
    again = store.pause_trigger(NAME, reason="it still is")
    assert (again.paused_at, again.paused_reason) == (paused.paused_at, "it still is")
    assert report(store, "meanwhile").reason == "the trigger is paused"
    assert nothing_is_due(store)
    resumed = store.resume_trigger(NAME)
    assert (resumed.state, resumed.paused_at, resumed.paused_reason) == ("active", None, "")
    assert (resumed.since, resumed.look_at) == (clock.now, clock.now)
    assert send(store, "after").event.outcome is Outcome.FIRED
    assert outcomes(store) == [("before", "skipped"), ("meanwhile", "skipped"), ("after", "fired")]
    assert events(store)[-1].reason == "it waited while the trigger was paused"


def test_to_resume_what_is_not_paused_changes_nothing(store: JobStore, clock: HeldClock) -> None:
    made = add(store)
    report(store, "signal 1")
    clock.pass_seconds(60)
    assert store.resume_trigger(NAME).since == made.since
    store.resume_triggers()
    assert store.get_trigger(NAME).since == made.since
    assert outcomes(store) == [("signal 1", "waiting")]


def test_while_all_are_paused_none_fires_and_each_goes_on_from_when_they_are_resumed(
    store: JobStore, clock: HeldClock
) -> None:
    add(store)
    add(store, "own")
    assert store.triggers_pause() is None
    report(store, "before")
    first = store.pause_triggers(reason="a move")
    clock.pass_seconds(60)
    second = store.pause_triggers(reason="a longer move")
    assert (first.since, second.since, second.reason) == (
        clock.now - timedelta(seconds=60),
        first.since,
        "a longer move",
    )
    assert store.triggers_pause() == second
    assert report(store, "meanwhile").reason == "all triggers are paused"
    store.pause_trigger("own", reason="it stays")
    assert nothing_is_due(store)
    store.resume_triggers()
    assert store.triggers_pause() is None
    assert store.get_trigger(NAME).since == clock.now
    assert store.get_trigger("own").state is TriggerState.PAUSED
    assert send(store, "after").event.outcome is Outcome.FIRED
    assert outcomes(store) == [("before", "skipped"), ("meanwhile", "skipped"), ("after", "fired")]
    assert report(store, "own 1", name="own").outcome is Outcome.SKIPPED


def test_a_key_that_is_reported_again_answers_the_first_event(store: JobStore, clock: HeldClock) -> None:
    add(store)
    first = report(store, "delivery 1", subject="main", facts={"branch": "main"}, changes={"commit_hash": "a" * 40})
    assert (first.outcome, first.reason, first.subject, first.times) == ("waiting", "for a worker", "main", 1)
    assert (first.facts, first.changes) == ({"branch": "main"}, {"commit_hash": "a" * 40})
    clock.pass_seconds(1)
    assert report(store, "delivery 1", subject="other") == first
    [fired] = look(store)
    assert report(store, "delivery 1") == fired.event
    assert len(store.list(JobFilter(trigger=NAME), limit=9)) == 1
    assert len({each.number for each in at_once(8, lambda _: report(store, "delivery 2"))}) == 1
    assert nothing_is_due(store) is False


def test_of_what_one_message_told_one_fires(store: JobStore) -> None:
    add(store)
    about = occurrence(store, "alert 1")
    first = store.report(NAME, about, besides=("alert 2", "alert 1"))
    assert outcomes(store) == [("alert 1", "waiting"), ("alert 2", "skipped")]
    again = store.report(NAME, about, besides=("alert 2", "alert 3"))
    assert (again.key, again.outcome) == ("alert 3", Outcome.WAITING)
    assert store.report(NAME, about, besides=("alert 3",)) == first


def test_what_is_refused_takes_no_key_and_the_same_again_is_counted(store: JobStore, clock: HeldClock) -> None:
    add(store)
    about = occurrence(store, "delivery 1")
    wrong, old = (Verdict(Outcome.REFUSED, reason) for reason in ("signature wrong", "too old"))
    for verdict in (wrong, old, wrong, old, wrong):
        store.report(NAME, about, noted=verdict)
        clock.pass_seconds(1)
    assert [(each.key, each.reason, each.times) for each in events(store)] == [
        (None, "too old", 2),
        (None, "signature wrong", 3),
    ]
    assert nothing_is_due(store)
    assert store.report(NAME, about).outcome is Outcome.WAITING
    clock.pass_seconds(3600)
    assert store.report(NAME, about, noted=wrong).times == 1


def test_by_hand_a_trigger_fires_whatever_its_policy_says(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 3600, "if_running": "skip"})
    send(store, "signal 1")
    clock.pass_seconds(1)
    new = new_job(trigger_name=NAME, triggered_by={"key": "by hand 1"})
    fired = store.fire_trigger(NAME, occurrence(store, "by hand 1"), new)
    assert fired.job is not None
    assert (fired.job.id, fired.job.trigger_name, fired.job.triggered_by) == (new.id, NAME, {"key": "by hand 1"})
    assert (fired.event.outcome, fired.event.reason, fired.event.job_id) == ("fired", "by hand", new.id)
    assert store.get_trigger(NAME).fired_at == clock.now
    again = store.fire_trigger(NAME, occurrence(store, "by hand 1"), new_job())
    assert again == fired
    assert [job.id for job in store.list(JobFilter(trigger=NAME), limit=1)] == [new.id]
    assert store.list(JobFilter(trigger="other"), limit=1) == []


def test_the_same_key_fires_by_hand_once_also_when_its_job_is_deleted(store: JobStore, clock: HeldClock) -> None:
    add(store)
    results = at_once(8, lambda _: store.fire_trigger(NAME, occurrence(store, "key"), new_job(trigger_name=NAME)))
    [job_id] = {each.event.job_id for each in results}
    assert job_id is not None
    store.finish(claim(store, job_id), SUCCEEDED)
    clock.pass_seconds(60)
    assert store.delete_ended(older_than_seconds=1, limit=9) == 1
    again = store.fire_trigger(NAME, occurrence(store, "key"), new_job())
    assert (again.event.job_id, again.job) == (job_id, None)


def test_jobs_stay_when_their_trigger_is_deleted_and_are_not_its_successor_s(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"if_running": "skip"})
    fired = send(store, "signal 1")
    assert fired.job is not None
    store.delete_trigger(NAME)
    assert store.get(fired.job.id).state is JobState.QUEUED
    clock.pass_seconds(1)
    add(store, policy={"if_running": "skip"})
    assert send(store, "signal 1").event.outcome is Outcome.FIRED


def test_events_are_read_page_by_page_and_as_they_were_then(store: JobStore, clock: HeldClock) -> None:
    add(store)
    add(store, "other")
    for number in range(5):
        report(store, f"signal {number}")
        report(store, f"signal {number}", name="other")
        clock.pass_seconds(10)
    first = events(store, limit=2)
    second = events(store, limit=2, before_number=first[-1].number)
    third = events(store, limit=2, before_number=second[-1].number)
    assert [each.key for each in (*first, *second, *third)] == [f"signal {number}" for number in (4, 3, 2, 1, 0)]
    assert {each.trigger for each in first} == {NAME}
    until = clock.now - timedelta(seconds=25)
    assert [each.key for each in events(store, until=until)] == ["signal 2", "signal 1", "signal 0"]
