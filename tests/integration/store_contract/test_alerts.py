"""What every job store writes into its outbox of alerts, and how senders take them from there."""

from dataclasses import replace

import pytest

from shared.alerts.model import LONGEST_WAIT_SECONDS, Alert, AlertEvent, Alerting
from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import (
    DOCKER_AWAY,
    FAILED,
    HOST,
    SUCCEEDED,
    a_host,
    claim,
    claimed,
    ended,
    in_retry_wait,
    running,
    submit,
    try_claim,
)
from tests.support.stores import MakeStore
from tests.support.threads import at_once

ALL = frozenset(AlertEvent)
DISCORD = frozenset({"discord"})
BOTH = frozenset({"discord", "webhook"})
LEASE_SECONDS = 60.0
SILENT_SECONDS = 900.0
STARTED, RETRYING, CANCELLED = AlertEvent.STARTED, AlertEvent.RETRYING, AlertEvent.CANCELLED
DONE, ADOPTED, BROKEN = AlertEvent.SUCCEEDED, AlertEvent.ADOPTED, AlertEvent.FAILED


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``outbox``."""
    return HeldClock()


@pytest.fixture
def outbox(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that records every event for Discord."""
    return make_store(clock=clock, limits=Limits(per_key=9), alerting=Alerting(ALL, DISCORD))


def _take(store: JobStore) -> Alert | None:
    return store.take_alert(DISCORD, lease_seconds=LEASE_SECONDS)


def _taken(store: JobStore) -> Alert:
    alert = _take(store)
    assert alert is not None
    return alert


def _told(store: JobStore) -> list[tuple[int, AlertEvent]]:
    """Send all that there is."""
    told = []
    while alert := _take(store):
        store.alert_sent(alert)
        told.append((alert.attempt, alert.event))
    return told


def test_a_job_that_succeeds_is_told_when_it_starts_and_when_it_ends(outbox: JobStore, clock: HeldClock) -> None:
    held = claimed(outbox)
    assert _take(outbox) is None
    outbox.started(held, runner="docker", container="c1")
    outbox.started(held, runner="docker", container="c1")
    alert = _taken(outbox)
    assert (alert.job_id, alert.attempt, alert.event, alert.channel) == (held.job.id, 1, STARTED, "discord")
    assert (alert.at, alert.tries, alert.retry_in_seconds) == (clock.now, 1, None)
    outbox.alert_sent(alert)
    outbox.finish(held, SUCCEEDED)
    assert _told(outbox) == [(1, DONE)]


def test_every_attempt_of_a_job_is_told_and_after_how_long_the_next_one_follows(
    outbox: JobStore, clock: HeldClock
) -> None:
    first = running(outbox)
    outbox.finish(first, replace(FAILED, retry_in_seconds=37.5))
    outbox.alert_sent(_taken(outbox))
    assert _taken(outbox).retry_in_seconds == 37.5
    clock.pass_seconds(LEASE_SECONDS)
    outbox.wake_retries()
    second = claim(outbox, first.job.id)
    outbox.started(second, runner="docker", container="c2")
    outbox.finish(second, FAILED)
    assert _told(outbox) == [(1, RETRYING), (2, STARTED), (2, BROKEN)]


def test_an_attempt_that_fails_before_its_start_is_told_once(outbox: JobStore) -> None:
    outbox.finish(claimed(outbox), FAILED)
    assert _told(outbox) == [(1, BROKEN)]


def test_a_job_that_is_cancelled_or_given_up_while_it_waits_is_told(outbox: JobStore) -> None:
    outbox.cancel(submit(outbox), force=False)
    assert _told(outbox) == [(0, CANCELLED)]
    outbox.fail_unsupervised(submit(outbox), DOCKER_AWAY)
    assert _told(outbox) == [(0, BROKEN)]
    outbox.cancel(in_retry_wait(outbox), force=False)
    assert _told(outbox) == [(1, STARTED), (1, RETRYING), (1, CANCELLED)]
    job_id = submit(outbox)
    claim(outbox, job_id)
    assert not outbox.fail_unsupervised(job_id, DOCKER_AWAY)
    assert _told(outbox) == []


def test_a_running_job_is_told_as_cancelled_when_it_has_ended(outbox: JobStore) -> None:
    held = running(outbox)
    outbox.cancel(held.job.id, force=False)
    assert _told(outbox) == [(1, STARTED)]
    outbox.finish(held, replace(FAILED, retry_in_seconds=5))
    assert _told(outbox) == [(1, CANCELLED)]


def test_an_attempt_that_lost_its_worker_is_told_as_adopted_once(outbox: JobStore, clock: HeldClock) -> None:
    held = running(outbox, lease_seconds=10)
    for _ in range(2):
        clock.pass_seconds(11)
        claim(outbox, held.job.id, lease_seconds=10)
    assert _told(outbox) == [(1, STARTED), (1, ADOPTED)]


def test_an_attempt_that_its_worker_left_in_order_is_not_told_as_adopted(outbox: JobStore) -> None:
    held = running(outbox)
    outbox.release(held)
    claim(outbox, held.job.id)
    assert _told(outbox) == [(1, STARTED)]


def test_the_end_of_a_lost_hosts_attempt_is_told(outbox: JobStore, clock: HeldClock) -> None:
    outbox.beat(a_host("gpu-2"), gap_seconds=SILENT_SECONDS)
    held = running(outbox, lease_seconds=1)
    clock.pass_seconds(SILENT_SECONDS)
    outbox.beat(a_host("gpu-2"), gap_seconds=SILENT_SECONDS)
    taken = outbox.take_from_lost_host(held.job.id, by="gpu-2", after_seconds=SILENT_SECONDS, lease_seconds=30)
    assert taken is not None
    outbox.finish(taken, replace(FAILED, retry_in_seconds=0))
    assert _told(outbox) == [(1, STARTED), (1, RETRYING)]


def test_what_changes_nothing_tells_nothing(outbox: JobStore) -> None:
    held = running(outbox)
    _told(outbox)
    outbox.renew(held, lease_seconds=60)
    assert try_claim(outbox, held.job.id) is None
    with pytest.raises(AssertionError):
        outbox.finish(held, Ending(JobState.QUEUED))
    assert outbox.find_orphans(host=HOST) == []
    assert _told(outbox) == []


def test_only_the_events_that_were_asked_for_are_recorded(make_store: MakeStore) -> None:
    store = make_store(alerting=Alerting(frozenset({BROKEN}), DISCORD))
    ended(store)
    store.finish(running(store), FAILED)
    assert _told(store) == [(1, BROKEN)]


@pytest.mark.parametrize("alerting", [Alerting(), Alerting(ALL), Alerting(channels=DISCORD)])
def test_without_events_or_channels_nothing_is_recorded(make_store: MakeStore, alerting: Alerting) -> None:
    store = make_store(alerting=alerting)
    ended(store)
    assert store.take_alert(BOTH, lease_seconds=LEASE_SECONDS) is None


def test_each_channel_gets_the_event_and_does_not_wait_for_the_other(make_store: MakeStore) -> None:
    store = make_store(alerting=Alerting(ALL, BOTH))
    ended(store)
    assert _taken(store).event is STARTED  # and stays unsent
    hooks = []
    while alert := store.take_alert({"webhook"}, lease_seconds=LEASE_SECONDS):
        store.alert_sent(alert)
        hooks.append((alert.channel, alert.event))
    assert hooks == [("webhook", STARTED), ("webhook", DONE)]
    assert store.take_alert(frozenset(), lease_seconds=LEASE_SECONDS) is None


def test_a_job_may_ask_for_other_channels_and_events_than_the_services_own(make_store: MakeStore) -> None:
    store = make_store(alerting=Alerting(ALL, DISCORD))
    longest = "a" * 63
    ended(store, request={"alerts": {"to": [longest, "ci"], "events": ["succeeded"]}})
    ended(store, request={"alerts": {"to": None, "events": ["failed"]}})
    ended(store, request={"alerts": {"to": []}})
    assert _told(store) == []
    taken = [store.take_alert({longest, "ci"}, lease_seconds=LEASE_SECONDS) for _ in range(3)]
    found = sorted((alert.channel, alert.event) for alert in taken if alert)
    assert found == [(longest, DONE), ("ci", DONE)]
    submitted = ended(store)
    assert [alert.job_id for alert in [_taken(store)]] == [submitted]


def test_a_stray_alert_is_an_old_one_for_a_channel_that_is_not_known(outbox: JobStore, clock: HeldClock) -> None:
    def stray(*known: str) -> Alert | None:
        return outbox.take_stray_alert(known, older_than_seconds=30, lease_seconds=LEASE_SECONDS)

    ended(outbox, request={"alerts": {"to": ["gone"]}})
    clock.pass_seconds(29)
    assert stray() is None
    clock.pass_seconds(1)
    assert stray("discord", "gone") is None
    first = stray("discord")
    assert first is not None
    assert (first.channel, first.event) == ("gone", STARTED)
    assert stray("discord") is None  # the second one waits for the first one, which is taken
    outbox.alert_failed(first, retry_in_seconds=None)
    second = stray("discord")
    assert second is not None
    assert second.event is DONE


def test_a_taken_alert_is_nobody_elses_until_its_lease_ends(outbox: JobStore, clock: HeldClock) -> None:
    running(outbox)
    first = _taken(outbox)
    clock.pass_seconds(LEASE_SECONDS - 1)
    assert _take(outbox) is None
    clock.pass_seconds(1)
    second = _taken(outbox)
    assert (second.id, second.tries, second.age_seconds) == (first.id, 2, LEASE_SECONDS)


def test_a_later_event_of_a_job_waits_for_the_earlier_one_and_other_jobs_do_not(
    outbox: JobStore, clock: HeldClock
) -> None:
    slow = ended(outbox)
    first = _taken(outbox)
    other = running(outbox).job.id
    assert _taken(outbox).job_id == other
    assert _take(outbox) is None
    outbox.alert_failed(first, retry_in_seconds=5)
    assert _take(outbox) is None
    clock.pass_seconds(5)
    again = _taken(outbox)
    assert (again.job_id, again.event) == (slow, STARTED)
    outbox.alert_failed(again, retry_in_seconds=None)
    assert (alert := _taken(outbox)).event is DONE
    assert alert.job_id == slow


def test_who_was_too_late_cannot_fail_an_alert_but_can_say_that_it_was_sent(outbox: JobStore, clock: HeldClock) -> None:
    ended(outbox)
    late = _taken(outbox)
    clock.pass_seconds(LEASE_SECONDS)
    second = _taken(outbox)
    outbox.alert_failed(late, retry_in_seconds=0)
    outbox.alert_failed(late, retry_in_seconds=None)
    assert _take(outbox) is None
    outbox.alert_sent(late)
    outbox.alert_failed(second, retry_in_seconds=0)
    assert _told(outbox) == [(1, DONE)]


def test_many_senders_at_once_get_each_alert_once(outbox: JobStore) -> None:
    jobs = {running(outbox).job.id for _ in range(8)}
    taken = [alert for alert in at_once(12, lambda _: _take(outbox)) if alert is not None]
    assert len({alert.job_id for alert in taken}) == len(taken)
    taken += iter(lambda: _take(outbox), None)
    assert {alert.job_id for alert in taken} == jobs
    assert len(taken) == len(jobs)


def test_no_alert_waits_for_longer_than_an_hour_even_where_the_clock_was_set_back(
    outbox: JobStore, clock: HeldClock
) -> None:
    running(outbox)
    outbox.alert_failed(_taken(outbox), retry_in_seconds=1e9)
    clock.pass_seconds(LONGEST_WAIT_SECONDS - 1)
    assert _take(outbox) is None
    clock.pass_seconds(-2 * LONGEST_WAIT_SECONDS)
    assert _take(outbox) is not None


def test_alerts_are_deleted_with_their_job(outbox: JobStore, clock: HeldClock) -> None:
    ended(outbox)
    outbox.alert_sent(_taken(outbox))
    clock.pass_seconds(LEASE_SECONDS)
    assert outbox.delete_ended(older_than_seconds=1, limit=10) == 1
    assert _take(outbox) is None
