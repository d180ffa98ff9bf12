"""Whose a model is: the team's whose job names it first; with isolation, no other team's job may."""

from typing import Any

import pytest

from shared.access.acts import Act, acting
from shared.access.audit import AuditFilter
from shared.access.callers import Caller, CallerKind
from shared.access.roles import Role
from shared.errors import ModelOfAnotherTeam
from shared.jobs.store import JobStore
from shared.jobs.triggers import Entry, Outcome, Settlement
from tests.support.jobs import new_job, submit
from tests.support.kept_triggers import add, occurrence, report, take
from tests.support.stores import MakeStore
from tests.support.threads import at_once

VISION: dict[str, Any] = {"model_name": "iris", "team": "vision", "submitted_by": "ann", "roles": ("submitter",)}
SPEECH: dict[str, Any] = {**VISION, "team": "speech", "submitted_by": "ben"}


@pytest.fixture
def isolated(make_store: MakeStore) -> JobStore:
    return make_store(teams_isolated=True)


def test_a_model_belongs_to_the_first_team_whose_job_names_it(store: JobStore) -> None:
    assert store.team_of_model("iris") is None
    submit(store, **VISION)
    submit(store, **SPEECH)
    submit(store, **{**SPEECH, "model_name": "digits"})
    assert (store.team_of_model("iris"), store.team_of_model("digits")) == ("vision", "speech")
    assert [*store.models_of("vision"), *store.models_of("speech")] == ["iris", "digits"]


def test_with_isolation_a_job_that_names_another_teams_model_is_not_recorded(isolated: JobStore) -> None:
    submit(isolated, **VISION)
    refused = new_job(**SPEECH)
    with pytest.raises(ModelOfAnotherTeam) as error:
        isolated.submit(refused, idempotency_key="k", payload_hash="h")
    assert "vision" not in str(error.value)
    assert isolated.submit(new_job(), idempotency_key="k", payload_hash="h").created


def test_a_model_that_a_job_without_a_team_named_first_is_no_teams_until_it_is_assigned(isolated: JobStore) -> None:
    submit(isolated, **{**VISION, "team": None})
    with pytest.raises(ModelOfAnotherTeam, match="ask an admin"):
        submit(isolated, **VISION)
    assert isolated.team_of_model("iris") is None
    isolated.assign_model("iris", "vision")
    submit(isolated, **VISION)
    with pytest.raises(ModelOfAnotherTeam):
        submit(isolated, **SPEECH)


def test_a_model_is_assigned_to_another_team_or_to_none(isolated: JobStore) -> None:
    isolated.assign_model("digits", "speech")  # before any job names it
    submit(isolated, **VISION)
    isolated.assign_model("iris", "speech")
    assert isolated.models_of("speech") == {"digits", "iris"}
    isolated.assign_model("iris", None)
    assert isolated.team_of_model("iris") is None
    with pytest.raises(ModelOfAnotherTeam):
        submit(isolated, **VISION)


def test_an_assignment_is_in_the_audit_once(store: JobStore) -> None:
    admin = Caller("boss", CallerKind.TOKEN, frozenset({Role.ADMIN}))
    with acting(Act(admin, "assignModel", "", "r-1")):
        for team in ("vision", "vision", None):
            store.assign_model("iris", team)
    found = [(each.subject, each.reason) for each in store.list_audit(AuditFilter(), limit=9)]
    assert found == [("model:iris", "of no team"), ("model:iris", "of team vision")]


@pytest.mark.parametrize("maker", [{"team": None}, {"roles": ("admin",)}])
def test_callers_of_all_teams_may_name_any_model_and_take_none(isolated: JobStore, maker: dict[str, Any]) -> None:
    submit(isolated, **VISION)
    submit(isolated, **{**SPEECH, **maker})
    assert isolated.team_of_model("iris") == "vision"


def test_of_two_teams_that_are_first_at_once_one_gets_the_model(isolated: JobStore) -> None:
    def try_submit(number: int) -> bool:
        try:
            return isolated.submit(new_job(**(SPEECH if number % 2 else VISION))).created
        except ModelOfAnotherTeam:
            return False

    accepted = at_once(8, try_submit)
    assert sorted(accepted) == [False] * 4 + [True] * 4


def test_a_trigger_whose_model_is_another_teams_by_now_fires_nothing(isolated: JobStore) -> None:
    name = add(isolated).name
    submit(isolated, **VISION)
    report(isolated, "1")
    due = take(isolated)
    fired = Entry(occurrence=due.waiting[0].occurrence, new=new_job(**SPEECH))
    [settled] = isolated.settle_trigger(due, Settlement(entries=(fired,), look_at=None))
    assert (settled.event.outcome, settled.job) == (Outcome.SKIPPED, None)
    assert "another team" in settled.event.reason
    with pytest.raises(ModelOfAnotherTeam):
        isolated.fire_trigger(name, occurrence(isolated, "2"), new_job(**SPEECH))
