"""Workers that decide about the same model at the same time: the best ends as champion, each move is recorded once."""

import random

import pytest

from mypackage.gate.proposal import Proposal
from shared.errors import StoreUnavailable
from shared.jobs.promotions import Event, Kind, NewPromotion, PromotionState
from shared.jobs.records import Resolution
from shared.scheduling.limits import Limits
from shared.sql import SqlStore, engine
from shared.sql.engine import Lock
from tests.fakes.model_gate import FakeGate
from tests.support.jobs import claimed
from tests.support.threads import at_once
from worker.attempt.deciding import Deciding

JOBS = 8


def test_the_best_of_many_models_at_once_ends_as_champion(sql_url: str) -> None:
    store = SqlStore(sql_url, limits=Limits(per_key=100, total=None))
    gate, values = FakeGate(), random.sample(range(100), JOBS)
    claims = [claimed(store, concurrency_key=f"key-{number}") for number in range(JOBS)]
    for claim, value in zip(claims, values, strict=True):
        run = f"run-{value}"
        store.resolve(claim, Resolution(run_id=run))
        gate.values[run] = float(value)
        gate.proposed[run] = [Proposal("iris", f"runs:/{run}/model", run, "a", False, "champion", 1, True, version=run)]
    decided = at_once(JOBS, lambda number: Deciding(store, gate).run(claims[number]))

    best = f"run-{max(values)}"
    assert gate.aliases["iris", "champion"] == best
    lines = [each for each in reversed(store.history("iris", limit=1000)) if each.event is Event.MOVED]
    assert [each.before for each in lines] == [None, *(each.version for each in lines[:-1])]  # one chain
    assert lines[-1].version == best
    moved = {each.version for each in lines}
    promoted = {each.version for [each] in decided if each.state is PromotionState.PROMOTED}
    assert promoted == moved
    assert len(lines) == len(moved)
    store.close()


def test_a_move_is_recorded_in_turn_with_the_alias_s_other_events(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number must not be seen after a later one: whoever decides would take it for a move by hand."""
    monkeypatch.setattr(engine, "WAIT_SECONDS", 1)
    store = SqlStore(sql_url)
    new = NewPromotion("iris", "champion", Kind.TRAINING, "2", "1", PromotionState.MOVING, "job", "better")
    begun = store.propose(new, seen=0)
    with store.writing() as another:
        another.lock("iris@champion", Lock.MODEL)
        with pytest.raises(StoreUnavailable):
            store.carried_out(begun.id)
    assert store.carried_out(begun.id).state is PromotionState.PROMOTED
    store.close()
