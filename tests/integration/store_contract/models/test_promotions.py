"""Promotions: one move of an alias at a time, each decision on what is still so, each end once."""

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import LeaseLost, PromotionNotFound, PromotionSettled
from shared.jobs.model import JobState
from shared.jobs.promotions import ChampionMoved, Event, Kind, MoveUnderWay, NewPromotion, Promotion, PromotionState
from shared.jobs.records import Ending
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.jobs import claimed
from tests.support.stores import MakeStore
from tests.support.threads import at_once

MOVING, AWAITING = PromotionState.MOVING, PromotionState.AWAITING_APPROVAL
MODEL = ("iris", "champion")


def new(version: str = "2", **values: Any) -> NewPromotion:
    made = NewPromotion("iris", "champion", Kind.TRAINING, version, "1", MOVING, "job j", "promoted: 0.9 > 0.8")
    return replace(made, **values)


def events(store: JobStore) -> list[tuple[Event, str | None]]:
    return [(line.event, line.version) for line in reversed(store.history("iris", limit=100))]


def propose(store: JobStore, one: NewPromotion) -> Promotion:
    return store.propose(one, seen=store.last_event(one.model, one.alias))


def test_a_move_is_decided_carried_out_once_and_then_the_champion(store: JobStore) -> None:
    made = propose(store, new(decision={"promoted": True}, facts={"value": 0.9}))
    assert (made.state, made.decision, made.facts, made.ended_at) == (MOVING, {"promoted": True}, {"value": 0.9}, None)
    assert store.unfinished(MOVING) == [made]
    assert store.champion_at(*MODEL) is None

    assert store.carried_out(made.id) == store.carried_out(made.id) == store.get_promotion(made.id)
    assert store.get_promotion(made.id).state is PromotionState.PROMOTED
    assert store.unfinished(MOVING) == []
    assert events(store) == [(Event.DECIDED, "2"), (Event.MOVED, "2")]
    champion = store.champion_at(*MODEL)
    assert champion is not None
    assert (champion.version, champion.before, champion.promotion_id) == ("2", "1", made.id)
    assert store.moved_aliases() == [champion]


def test_who_was_champion_then(store: JobStore) -> None:
    moves = [store.carried_out(propose(store, new(version)).id) for version in ("2", "3")]
    lines = [line for line in reversed(store.history("iris", limit=9)) if line.event is Event.MOVED]
    assert [store.champion_at(*MODEL, line.at) for line in lines] == lines
    assert store.champion_at(*MODEL, moves[0].created_at.replace(year=2000)) is None
    assert store.champion_at("iris", "staging") is None


def test_the_last_event_of_each_model_whichever_alias_it_is_about(store: JobStore) -> None:
    assert store.last_events() == []
    propose(store, new())
    for model in ("roses", "Iris", "íris"):
        propose(store, new("1", model=model, state=PromotionState.NOT_PROMOTED))
    propose(store, new("3", alias="staging", state=PromotionState.NOT_PROMOTED))
    last = store.last_events()
    assert [(each.model, each.alias, each.version) for each in last] == [
        ("Iris", "champion", "1"),
        ("iris", "staging", "3"),
        ("roses", "champion", "1"),
        ("íris", "champion", "1"),
    ]
    assert list(last) == [store.history(each.model, limit=1)[0] for each in last]


def test_two_moves_of_one_alias_are_not_made_at_once(store: JobStore) -> None:
    first = propose(store, new())
    with pytest.raises(MoveUnderWay) as refusal:
        propose(store, new("3"))
    assert refusal.value.promotion == first
    with pytest.raises(MoveUnderWay):  # what looks like somebody's own move may be this one
        propose(store, new("2", kind=Kind.FOREIGN, state=PromotionState.PROMOTED))
    assert propose(store, new("3", alias="staging")).state is MOVING
    assert propose(store, new("3", state=PromotionState.NOT_PROMOTED)).ended_at is not None


def test_one_mover_at_a_time_has_a_move_until_it_gives_it_back_or_takes_too_long(store: JobStore) -> None:
    made = propose(store, new())
    begun = store.begin_move(made.id, seconds=60)
    assert begun.state is MOVING
    with pytest.raises(MoveUnderWay):
        store.begin_move(made.id, seconds=60)
    store.end_move(made)  # which had not begun
    with pytest.raises(MoveUnderWay):
        store.begin_move(made.id, seconds=60)
    store.end_move(begun)
    assert store.begin_move(made.id, seconds=-1).moving_until is not None
    assert store.begin_move(made.id, seconds=60).state is MOVING
    assert store.carried_out(made.id).state is PromotionState.PROMOTED
    assert store.begin_move(made.id, seconds=60).state is PromotionState.PROMOTED


def test_of_many_movers_at_once_one_has_the_move(store: JobStore) -> None:
    made = propose(store, new())

    def begin(_: int) -> bool:
        try:
            return bool(store.begin_move(made.id, seconds=60))
        except MoveUnderWay:
            return False

    assert sum(at_once(8, begin)) == 1


def test_a_decision_on_facts_that_changed_is_made_again(store: JobStore) -> None:
    seen = store.last_event(*MODEL)
    store.carried_out(propose(store, new()).id)
    with pytest.raises(ChampionMoved):
        store.propose(new("3"), seen=seen)
    assert propose(store, new("3")).state is MOVING


def test_of_many_decisions_at_once_on_the_same_facts_one_counts(store: JobStore) -> None:
    seen, ends = store.last_event(*MODEL), list[str]()

    def decide(number: int) -> None:
        try:
            ends.append(store.propose(new(str(number)), seen=seen).state)
        except (ChampionMoved, MoveUnderWay):
            ends.append("again")

    at_once(8, decide)
    assert sorted(ends) == ["again"] * 7 + ["moving"]


def test_an_attempts_proposal_counts_once_and_only_while_it_is_held(store: JobStore) -> None:
    claim = claimed(store)
    mine = new(job_id=claim.job.id, attempt=1)
    made = store.propose(mine, seen=0, claim=claim)
    assert store.propose(replace(mine, version="9"), seen=0, claim=claim) == made
    second = store.propose(replace(mine, number=1, state=PromotionState.NOT_PROMOTED), seen=1, claim=claim)
    assert store.of_attempt(claim.job.id, 1) == [made, second]
    assert store.of_attempt(claim.job.id, 2) == []

    store.finish(claim, Ending(JobState.SUCCEEDED, exit_code=0))
    with pytest.raises(LeaseLost):
        store.propose(replace(mine, number=2), seen=store.last_event(*MODEL), claim=claim)


def test_what_was_overtaken_is_decided_again_under_the_same_id(store: JobStore) -> None:
    claim = claimed(store)
    made = store.propose(new(job_id=claim.job.id, attempt=1), seen=0, claim=claim)
    store.settle(made.id, PromotionState.OVERTAKEN, event=Event.OVERTAKEN, actor="job j", reason="moved by hand")
    again = new(job_id=claim.job.id, attempt=1, before="7", state=PromotionState.NOT_PROMOTED)
    decided = store.propose(again, seen=store.last_event(*MODEL), claim=claim)
    assert (decided.id, decided.before, decided.state) == (made.id, "7", PromotionState.NOT_PROMOTED)
    assert [event for event, _ in events(store)] == [Event.DECIDED, Event.OVERTAKEN, Event.DECIDED]


def test_an_approval_counts_once_and_on_what_is_still_so(store: JobStore) -> None:
    made = propose(store, new(state=AWAITING, approval_seconds=60))
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == 60
    seen = store.last_event(*MODEL)
    propose(store, new("3", state=PromotionState.NOT_PROMOTED))
    with pytest.raises(ChampionMoved):
        store.settle(made.id, MOVING, event=Event.APPROVED, actor="ann", reason="", seen=seen)
    seen = store.last_event(*MODEL)
    approved = store.settle(made.id, MOVING, event=Event.APPROVED, actor="ann", reason="ok", seen=seen, before="7")
    assert (approved.state, approved.before) == (MOVING, "7")
    with pytest.raises(PromotionSettled):
        store.settle(made.id, PromotionState.REJECTED, event=Event.REJECTED, actor="bob", reason="no")
    assert store.carried_out(made.id).state is PromotionState.PROMOTED
    assert store.history("iris", limit=2)[1].actor == "ann"


def test_an_ended_job_says_what_became_of_its_promotion(store: JobStore) -> None:
    claim = claimed(store)
    made = store.propose(new(job_id=claim.job.id, attempt=1, state=AWAITING), seen=0, claim=claim)
    result = {"decision": {"promoted": False, "id": made.id, "state": "awaiting_approval", "reason": "waits"}}
    ended = store.finish(claim, Ending(JobState.SUCCEEDED, exit_code=0, result=result))
    store.settle(made.id, MOVING, event=Event.APPROVED, actor="ann", reason="ok", seen=store.last_event(*MODEL))
    told = {"id": made.id, "reason": "approved: ok"}
    assert store.get(claim.job.id).result == {"decision": {**told, "promoted": False, "state": "moving"}}
    store.carried_out(made.id)
    job = store.get(claim.job.id)
    assert job.result == {"decision": {**told, "promoted": True, "state": "promoted"}}
    assert job.version > ended.version  # so that its ETag changes


def test_a_move_that_the_registry_refuses_is_over_and_in_nobodys_way(store: JobStore) -> None:
    made = propose(store, new())
    ended = store.settle(
        made.id, PromotionState.IMPOSSIBLE, event=Event.IMPOSSIBLE, actor="job j", reason="there is no version 2"
    )
    assert ended.ended_at is not None
    assert propose(store, new("3")).state is MOVING


def test_what_nobody_answers_in_time(store: JobStore) -> None:
    late = propose(store, new(state=AWAITING, approval_seconds=0))
    propose(store, new("3", state=AWAITING, approval_seconds=60))
    assert store.unanswered() == [late]
    store.settle(late.id, PromotionState.EXPIRED, event=Event.EXPIRED, actor="nobody", reason="too late")
    assert store.unanswered() == []


def test_a_promotion_that_is_not_there(store: JobStore) -> None:
    with pytest.raises(PromotionNotFound):
        store.get_promotion("nothing")


def test_what_trainings_proposed_is_read_with_its_facts_the_newest_first(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    refused = PromotionState.NOT_PROMOTED
    made = []
    for value in (1, 2, 3):
        clock.pass_seconds(60)
        made.append(propose(store, new(str(value), state=refused, facts={"value": value})))
    propose(store, new("4", state=refused, kind=Kind.ROLLBACK))
    propose(store, new("5", state=refused, model="roses"))
    assert store.decisions("iris", limit=9) == made[::-1]
    assert store.decisions("iris", limit=2) == made[:0:-1]
    assert store.decisions("iris", since=made[1].created_at, limit=9) == made[:0:-1]


def test_pages_of_a_history(store: JobStore) -> None:
    for version in "234":
        store.carried_out(propose(store, new(version)).id)
    every = store.history("iris", limit=100)
    assert [store.history("iris", limit=1, before_number=line.number) for line in every[:-1]] == [
        [line] for line in every[1:]
    ]
    assert store.history("iris", alias="staging", limit=9) == store.history("roses", limit=9) == []


def test_what_runs_have_to_be_told_is_what_ended_since_they_were(store: JobStore) -> None:
    waiting = propose(store, new(state=AWAITING, job_id="j", attempt=1))
    store.carried_out(propose(store, new("9")).id)  # of no job
    assert store.unnoted() == []
    store.settle(waiting.id, PromotionState.REJECTED, event=Event.REJECTED, actor="ann", reason="no")
    rejected = store.get_promotion(waiting.id)
    assert store.unnoted() == [rejected]
    store.noted(waiting)  # as it was
    assert store.unnoted() == [rejected]
    store.noted(rejected)
    store.noted(rejected)
    assert store.unnoted() == []
    store.noted(waiting)
    assert store.unnoted() == [rejected]


def test_a_move_that_is_under_way_is_not_told_yet(store: JobStore) -> None:
    made = propose(store, new(job_id="j", attempt=1))
    store.noted(replace(made, state=AWAITING))
    assert store.unnoted() == []
    store.carried_out(made.id)
    assert [each.state for each in store.unnoted()] == [PromotionState.PROMOTED]


def test_a_job_ends_with_its_promotion_as_that_is_by_then(store: JobStore) -> None:
    held = claimed(store)
    made = propose(store, new(state=AWAITING, job_id=held.job.id, attempt=1, decision={"promoted": True}))
    decision = {"id": made.id, "promoted": False, "state": "awaiting_approval", "reason": "waits", "metric": "f1"}
    store.settle(made.id, PromotionState.REJECTED, event=Event.REJECTED, actor="ann", reason="no")
    job = store.finish(held, Ending(JobState.SUCCEEDED, result={"decision": decision}))
    assert (job.result or {})["decision"] == {**decision, "state": "rejected", "reason": "rejected: no"}


@pytest.mark.parametrize("decision", [None, {"promoted": False}, {"id": "of another store"}])
def test_a_job_ends_with_a_decision_that_the_store_does_not_know(
    store: JobStore, decision: dict[str, Any] | None
) -> None:
    job = store.finish(claimed(store), Ending(JobState.SUCCEEDED, result={"decision": decision}))
    assert job.result == {"decision": decision}
