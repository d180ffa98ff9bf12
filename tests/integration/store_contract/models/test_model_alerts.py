"""Every move of an alias, and every wait for a person, is in the outbox once, whether or not a job wanted it."""

from dataclasses import replace

import pytest

from shared.alerts.model import Alert, AlertEvent, Alerting
from shared.jobs.promotions import Event, HistoryLine, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import ended
from tests.support.stores import MakeStore

ALL, DISCORD = frozenset(AlertEvent), frozenset({"discord"})
CHANGED, WANTED = AlertEvent.CHAMPION_CHANGED, AlertEvent.APPROVAL_WANTED
OF_MODELS = frozenset({CHANGED, WANTED})
MOVING, AWAITING, PROMOTED = PromotionState.MOVING, PromotionState.AWAITING_APPROVAL, PromotionState.PROMOTED
LEASE_SECONDS = 60.0


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``outbox``."""
    return HeldClock()


@pytest.fixture
def outbox(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that records what is about models for Discord."""
    return make_store(clock=clock, limits=Limits(per_key=9), alerting=Alerting(OF_MODELS, DISCORD))


def new(version: str = "2", **values: object) -> NewPromotion:
    made = NewPromotion("iris", "champion", Kind.TRAINING, version, "1", MOVING, "job j", "promoted: 0.9 > 0.8")
    return replace(made, **values)  # type: ignore[arg-type]


def propose(store: JobStore, one: NewPromotion) -> Promotion:
    return store.propose(one, seen=store.last_event(one.model, one.alias))


def moved(store: JobStore, version: str = "2", **values: object) -> Promotion:
    return store.carried_out(propose(store, new(version, **values)).id)


def approve(store: JobStore, one: Promotion) -> Promotion:
    seen = store.last_event(one.model, one.alias)
    store.settle(one.id, MOVING, event=Event.APPROVED, actor="ann", reason="good", seen=seen, before="1")
    return store.carried_out(one.id)


def taken(store: JobStore, channels: frozenset[str] = DISCORD) -> Alert | None:
    return store.take_alert(channels, lease_seconds=LEASE_SECONDS)


def told(store: JobStore, channels: frozenset[str] = DISCORD) -> list[Alert]:
    """Send all that there is."""
    sent = []
    while alert := taken(store, channels):
        store.alert_sent(alert)
        sent.append(alert)
    return sent


def line_of(store: JobStore, alert: Alert) -> HistoryLine:
    assert alert.line is not None
    [line] = [each for each in store.lines_of(alert.line.promotion_id) if each.number == alert.line.number]
    assert (line.model, line.alias, line.job_id) == (alert.line.model, alert.line.alias, alert.job_id)
    return line


def lines(store: JobStore, alerts: list[Alert]) -> list[tuple[AlertEvent, str | None, str | None]]:
    return [(each.event, line.version, line.before) for each in alerts for line in [line_of(store, each)]]


def test_a_move_is_told_when_it_is_done_and_once(outbox: JobStore, clock: HeldClock) -> None:
    made = propose(outbox, new())
    assert taken(outbox) is None
    outbox.carried_out(made.id)
    outbox.carried_out(made.id)
    [alert] = told(outbox)
    assert (alert.event, alert.channel, alert.job_id, alert.attempt, alert.at) == (CHANGED, "discord", None, 0, clock())
    assert line_of(outbox, alert) == outbox.history("iris", limit=1)[0]
    assert alert.line is not None
    assert alert.id == f"{made.id}-{alert.line.number}-champion_changed"
    assert outbox.lines_of(made.id) == list(reversed(outbox.history("iris", limit=9)))


def test_a_rollback_and_a_move_by_hand_are_told_without_a_job(outbox: JobStore) -> None:
    moved(outbox, version="1", before="2", kind=Kind.ROLLBACK)
    propose(outbox, new(None, before="1", kind=Kind.FOREIGN, state=PROMOTED))  # type: ignore[arg-type]
    assert lines(outbox, told(outbox)) == [(CHANGED, "1", "2"), (CHANGED, None, "1")]


def test_a_wait_for_approval_is_told_and_then_the_move(outbox: JobStore) -> None:
    made = propose(outbox, new(state=AWAITING, approval_seconds=60))
    assert lines(outbox, told(outbox)) == [(WANTED, "2", "1")]
    approve(outbox, made)
    assert lines(outbox, told(outbox)) == [(CHANGED, "2", "1")]


@pytest.mark.parametrize("end", [PromotionState.REJECTED, PromotionState.EXPIRED, PromotionState.NOT_PROMOTED])
def test_what_moves_no_alias_is_not_told(outbox: JobStore, end: PromotionState) -> None:
    propose(outbox, new(state=PromotionState.NOT_PROMOTED))
    waiting = propose(outbox, new(state=AWAITING))
    told(outbox)
    outbox.settle(waiting.id, end, event=Event.DECIDED, actor="ann", reason="no")
    impossible = propose(outbox, new("3"))
    outbox.settle(impossible.id, PromotionState.IMPOSSIBLE, event=Event.IMPOSSIBLE, actor="j", reason="gone")
    assert taken(outbox) is None


def test_a_move_back_is_told_where_the_move_was_told_too(outbox: JobStore) -> None:
    mine = ended(outbox, request={"alerts": {"to": ["team"]}})
    moved(outbox, job_id=mine, attempt=1)
    moved(outbox, "1", before="2", kind=Kind.PROBATION)
    moved(outbox, "2", before="1", kind=Kind.ROLLBACK)
    found = lines(outbox, told(outbox, frozenset({"team"})))
    assert found == [(CHANGED, "2", "1"), (CHANGED, "1", "2")]
    assert lines(outbox, told(outbox)) == [(CHANGED, "1", "2"), (CHANGED, "2", "1")]


def test_what_a_job_asks_for_goes_for_its_promotions_and_the_default_for_those_of_none(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=9), alerting=Alerting(OF_MODELS, DISCORD))
    mine = ended(store, request={"alerts": {"to": ["team"], "events": ["champion_changed"]}})
    silent = ended(store, request={"alerts": {"to": [], "events": None}})
    plain = ended(store)
    for version, job_id in enumerate((mine, silent, plain, "deleted", None), 2):
        moved(store, version=str(version), job_id=job_id, attempt=1)
    propose(store, new("9", state=AWAITING, job_id=mine, attempt=1, number=1))
    assert [(each.job_id, each.channel) for each in told(store, DISCORD | {"team"})] == [
        (mine, "team"),
        (plain, "discord"),
        ("deleted", "discord"),
        (None, "discord"),
    ]


@pytest.mark.parametrize("alerting", [Alerting(), Alerting(ALL - OF_MODELS, DISCORD), Alerting(OF_MODELS)])
def test_without_events_or_channels_nothing_is_recorded(make_store: MakeStore, alerting: Alerting) -> None:
    store = make_store(alerting=alerting)
    approve(store, propose(store, new(state=AWAITING)))
    assert taken(store) is None


def test_an_aliases_later_alert_waits_for_its_earlier_one_and_other_aliases_and_channels_do_not(
    make_store: MakeStore, clock: HeldClock
) -> None:
    both = frozenset({"discord", "webhook"})
    store = make_store(clock=clock, alerting=Alerting(OF_MODELS, both))
    moved(store, version="2")
    clock.pass_seconds(1)
    moved(store, version="3")
    moved(store, version="3", alias="staging")
    first = taken(store)
    assert first is not None
    assert lines(store, [first]) == [(CHANGED, "2", "1")]
    assert [each.line.alias for each in told(store) if each.line] == ["staging"]
    assert len(told(store, frozenset({"webhook"}))) == 3
    store.alert_failed(first, retry_in_seconds=5)
    assert taken(store) is None
    assert store.get_statistics().alerts["discord"].count == 2
    clock.pass_seconds(5)
    assert lines(store, told(store)) == [(CHANGED, "2", "1"), (CHANGED, "3", "1")]
    assert "discord" not in store.get_statistics().alerts


def test_who_was_too_late_cannot_fail_an_alert_but_can_say_that_it_was_sent(outbox: JobStore, clock: HeldClock) -> None:
    moved(outbox)
    late = taken(outbox)
    clock.pass_seconds(LEASE_SECONDS)
    second = taken(outbox)
    assert late is not None
    assert second is not None
    assert (second.id, second.tries) == (late.id, 2)
    outbox.alert_failed(late, retry_in_seconds=None)
    clock.pass_seconds(LEASE_SECONDS)
    assert taken(outbox) is not None
    outbox.alert_sent(late)
    clock.pass_seconds(LEASE_SECONDS)
    assert taken(outbox) is None


def test_an_alert_that_is_given_up_is_over_and_one_for_a_channel_that_is_gone_is_a_stray(
    outbox: JobStore, clock: HeldClock
) -> None:
    moved(outbox)
    clock.pass_seconds(30)
    assert outbox.take_stray_alert(DISCORD, older_than_seconds=30, lease_seconds=LEASE_SECONDS) is None
    assert outbox.take_stray_alert([], older_than_seconds=31, lease_seconds=LEASE_SECONDS) is None
    stray = outbox.take_stray_alert([], older_than_seconds=30, lease_seconds=LEASE_SECONDS)
    assert stray is not None
    outbox.alert_failed(stray, retry_in_seconds=None)
    clock.pass_seconds(LEASE_SECONDS)
    assert taken(outbox) is None


def test_what_has_been_due_longest_comes_first_whether_it_is_about_a_job_or_a_model(
    make_store: MakeStore, clock: HeldClock
) -> None:
    store = make_store(clock=clock, limits=Limits(per_key=9), alerting=Alerting(ALL, DISCORD))
    moved(store)
    clock.pass_seconds(1)
    job_id = ended(store)
    clock.pass_seconds(1)
    moved(store, version="3", job_id=job_id, attempt=1)
    found = [AlertEvent.STARTED, AlertEvent.SUCCEEDED]
    assert [each.event for each in told(store)] == [CHANGED, *found, CHANGED]


def test_an_alert_about_a_model_outlives_its_job(outbox: JobStore, clock: HeldClock) -> None:
    job_id = ended(outbox)
    moved(outbox, job_id=job_id, attempt=1)
    clock.pass_seconds(LEASE_SECONDS)
    assert outbox.delete_ended(older_than_seconds=1, limit=10) == 1
    assert [each.job_id for each in told(outbox)] == [job_id]
