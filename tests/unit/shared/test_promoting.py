"""How long somebody waits for a move of an alias that does not come to its end."""

from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, PromotionState
from shared.promoting import ASK_SECONDS, MOVE_SECONDS, WAIT_SECONDS, Time, see_through
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore

NEW = NewPromotion("iris", CHAMPION, Kind.TRAINING, "2", None, PromotionState.MOVING, "job j", "better")


class SlowGate(FakeGate):
    """Takes longer for an answer than a move may take until it is asked for."""

    now = 0.0

    def find_version(self, model: str, alias: str) -> str | None:
        self.now += ASK_SECONDS + 1
        return super().find_version(model, alias)

    def time(self) -> Time:
        return Time(clock=lambda: self.now, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        self.now += seconds


def test_a_move_that_mlflow_is_too_slow_for_is_left_after_one_try(store: MemoryStore) -> None:
    gate = SlowGate()
    begun = store.propose(NEW, seen=0)
    assert see_through(store, gate, begun, by=gate.time()).state is PromotionState.MOVING
    assert (gate.now, gate.moves) == (ASK_SECONDS + 1, [])


def test_a_move_that_another_carries_out_is_waited_for_a_few_seconds(store: MemoryStore) -> None:
    gate = SlowGate()
    begun = store.begin_move(store.propose(NEW, seen=0).id, seconds=MOVE_SECONDS)
    assert see_through(store, gate, begun, by=gate.time()).state is PromotionState.MOVING
    assert WAIT_SECONDS <= gate.now < WAIT_SECONDS + 1
