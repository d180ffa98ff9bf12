"""Looks at what monitoring reports of a champion: it fires when the value falls, not again until it recovers."""

from pathlib import Path
from typing import Any

import pytest

from shared.jobs.observations import NewObservation
from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, PromotionState
from shared.jobs.triggers import TriggerEvent
from tests.fakes.worker import FakeWorker
from tests.support.kept_triggers import a_trigger, events
from worker.triggers import observations as looker

BELOW = {"observations": {"model": "iris", "metric": "accuracy", "below": 0.8}}


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    worker = FakeWorker.new(tmp_path)
    champion(worker, "1")
    return worker


def champion(worker: FakeWorker, version: str) -> None:
    before = str(int(version) - 1) if version != "1" else None
    move = NewPromotion("iris", CHAMPION, Kind.TRAINING, version, before, PromotionState.MOVING, "job j", "promoted")
    worker.store.carried_out(worker.store.propose(move, seen=worker.store.last_event("iris", CHAMPION)).id)


def create(worker: FakeWorker, **when: Any) -> None:
    condition = {"observations": {**BELOW["observations"], **when}}
    worker.store.create_trigger(a_trigger("fallen", when=condition))
    assert worker.triggers.once()


def reported(worker: FakeWorker, *values: float, metric: str = "accuracy") -> list[TriggerEvent]:
    """What fired in a look after these were reported, the oldest first."""
    known = len(fired_or_not(worker))
    for value in values:
        worker.clock.shift_seconds += 1
        worker.store.observe(NewObservation("iris", metric, value, "monitoring"))
    worker.clock.shift_seconds += looker.EVERY.total_seconds()
    assert worker.triggers.once()
    found = fired_or_not(worker)
    return found[: len(found) - known][::-1]


def fired_or_not(worker: FakeWorker) -> list[TriggerEvent]:
    """What became of values, without the looks that found none that counts."""
    return [each for each in events(worker.store, "fallen") if each.key]


def why(worker: FakeWorker) -> str:
    return events(worker.store, "fallen")[0].reason


def test_each_look_says_why_nothing_came_of_it(worker: FakeWorker) -> None:
    create(worker)
    assert why(worker) == "nothing new was reported of accuracy of version 1"
    reported(worker, 0.9)
    assert why(worker) == "accuracy of version 1 is within the bound"
    reported(worker, 0.7)
    reported(worker, 0.6)
    assert "is still beyond the bound" in why(worker)


def test_the_first_value_beyond_the_bound_fires_and_the_next_ones_do_not(worker: FakeWorker) -> None:
    create(worker)
    assert reported(worker, 0.9) == []
    (fired,) = reported(worker, 0.85, 0.7, 0.6)
    assert (fired.outcome, fired.key) == ("fired", "version 1 observation 3")
    assert fired.facts == {"model": "iris", "version": "1", "metric": "accuracy", "value": 0.7, "below": 0.8}
    assert reported(worker, 0.5) == reported(worker) == []


def test_it_fires_again_after_the_value_recovered(worker: FakeWorker) -> None:
    create(worker)
    assert len(reported(worker, 0.7)) == 1
    assert reported(worker, 0.9) == []
    assert len(reported(worker, 0.7)) == 1
    assert len(reported(worker, 0.9, 0.7)) == 1


def test_it_fires_again_for_another_champion_and_knows_nothing_of_the_last_one(worker: FakeWorker) -> None:
    create(worker)
    assert len(reported(worker, 0.7)) == 1
    champion(worker, "2")
    assert reported(worker) == []
    (fired,) = reported(worker, 0.7)
    assert fired.facts["version"] == "2"


def test_above_and_the_metric_count(worker: FakeWorker) -> None:
    create(worker, below=None, above=0.2, metric="drift")
    assert reported(worker, 0.9) == []
    (fired,) = reported(worker, 0.2, 0.3, metric="drift")
    assert fired.facts["above"] == 0.2


def test_what_was_reported_before_does_not_count_and_no_page_is_left_out(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.store.observe(NewObservation("iris", "accuracy", 0.1, "monitoring"))
    worker.clock.shift_seconds += 1
    create(worker)
    assert reported(worker) == []
    monkeypatch.setattr(looker, "PAGE", 2)
    assert len(reported(worker, 0.7, 0.9, 0.9, 0.9, 0.7)) == 2


def test_without_a_champion_nothing_happens(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path)
    create(worker)
    assert reported(worker) == []
    assert why(worker) == "model iris has no champion"
