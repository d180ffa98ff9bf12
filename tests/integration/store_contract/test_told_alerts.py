"""What every job store tells people of its outbox: what was told to whom, and what became of it."""

from typing import Any

import pytest

from shared.alerts.listed import AlertFilter, ToldAlert
from shared.alerts.model import Alert, AlertEvent, Alerting, AlertState
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, ended, running, submit
from tests.support.stores import MakeStore

BOTH = frozenset({"discord", "webhook"})
ANY = AlertFilter()
WAITING, SENT, GIVEN_UP = AlertState


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``outbox``."""
    return HeldClock()


@pytest.fixture
def outbox(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that records every event for two channels."""
    return make_store(clock=clock, limits=Limits(per_key=9), alerting=Alerting(frozenset(AlertEvent), BOTH))


def take(store: JobStore, channel: str = "discord") -> Alert:
    alert = store.take_alert({channel}, lease_seconds=60)
    assert alert is not None
    return alert


def told(store: JobStore, limit: int = 100, **where: Any) -> list[ToldAlert]:
    return [*store.list_alerts(AlertFilter(**where), limit=limit)]


def move_champion(store: JobStore, model: str, job_id: str | None = None) -> None:
    new = NewPromotion(
        model, "champion", Kind.ROLLBACK, "2", "1", PromotionState.MOVING, "ann", "because", job_id=job_id
    )
    store.carried_out(store.propose(new, seen=store.last_event(model, "champion")).id)


def test_an_alert_is_told_with_its_state_its_tries_and_why_the_last_one_failed(
    outbox: JobStore, clock: HeldClock
) -> None:
    job = submit(outbox, model_name="iris")
    outbox.cancel(job, force=False)
    first = told(outbox, channel="discord")[0]
    assert (first.job_id, first.model, first.alias, first.event) == (job, "iris", None, AlertEvent.CANCELLED)
    assert (first.at, first.state, first.tries, first.cause) == (clock.now, WAITING, 0, None)
    outbox.alert_failed(take(outbox), retry_in_seconds=5, cause="HTTP 503")
    tried = told(outbox, channel="discord")[0]
    assert (tried.state, tried.tries, tried.cause) == (WAITING, 1, "HTTP 503")
    assert (tried.due_at - clock.now).total_seconds() == 5
    clock.pass_seconds(5)
    outbox.alert_failed(take(outbox), retry_in_seconds=None, cause="HTTP 404: \x00 gone")
    outbox.alert_sent(take(outbox, "webhook"))
    assert [(each.channel, each.state, each.tries) for each in told(outbox)] == [
        ("webhook", SENT, 1),
        ("discord", GIVEN_UP, 2),
    ]
    assert [each.id for each in told(outbox, state=GIVEN_UP)] == [first.id]
    assert "gone" in str(told(outbox, state=GIVEN_UP)[0].cause)


def test_alerts_about_jobs_and_about_models_are_one_list_the_newest_first_however_it_is_paged(
    outbox: JobStore, clock: HeldClock
) -> None:
    for number in range(3):
        ended(outbox, model_name=f"m{number % 2}")
        move_champion(outbox, "m0")
        clock.pass_seconds(number)  # the first ones at one moment
    everything = told(outbox)
    assert len(everything) == 3 * 2 * 3
    assert [each.at for each in everything] == sorted((each.at for each in everything), reverse=True)
    for size in (1, 2, 5):
        paged, after = list[ToldAlert](), None
        while page := outbox.list_alerts(ANY, limit=size, after=after):
            paged += page
            after = page[-1].place
        assert paged == everything


def test_alerts_are_found_by_job_model_channel_and_state(outbox: JobStore) -> None:
    job, _other = ended(outbox, model_name="iris"), ended(outbox)
    move_champion(outbox, "iris", job)
    about_job, about_model = {AlertEvent.STARTED, AlertEvent.SUCCEEDED}, {AlertEvent.CHAMPION_CHANGED}
    assert {each.event for each in told(outbox, job_id=job)} == about_job | about_model
    assert {each.event for each in told(outbox, model="iris")} == about_job | about_model
    assert {each.model for each in told(outbox, model="iris")} == {"iris"}
    assert {each.alias for each in told(outbox, model="iris")} == {None, "champion"}
    assert {each.channel for each in told(outbox, channel="webhook")} == {"webhook"}
    assert (len(told(outbox)), told(outbox, channel="mail"), told(outbox, state=SENT)) == (10, [], [])


def test_a_team_s_alerts_are_those_of_its_jobs_and_of_its_models(outbox: JobStore) -> None:
    for team, model in (("vision", "iris"), ("speech", "words"), (None, "nobody's")):
        outbox.finish(running(outbox, team=team, model_name=model), FAILED)
        move_champion(outbox, model)
    assert {each.model for each in told(outbox, team="vision")} == {"iris"}
    assert len(told(outbox, team="vision")) == 3 * 2
    assert told(outbox, team="nobody's") == []
    assert len(told(outbox)) == 3 * 3 * 2


def test_what_is_told_of_a_job_goes_with_it_and_what_is_told_of_a_model_stays(
    outbox: JobStore, clock: HeldClock
) -> None:
    job = ended(outbox, model_name="iris")
    move_champion(outbox, "iris", job)
    clock.pass_seconds(60)
    outbox.delete_ended(older_than_seconds=1, limit=9)
    assert [each.event for each in told(outbox)] == [AlertEvent.CHAMPION_CHANGED] * 2
