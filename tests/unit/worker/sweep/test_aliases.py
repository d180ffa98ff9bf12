"""What the sweep does about aliases while MLflow fails: no model holds up the others, and all of them not the sweep."""

from dataclasses import dataclass, field

import pytest

from shared.errors import Code, InfrastructureError
from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, PromotionState
from shared.promoting import Time
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from worker.sweep.aliases import MOST_FAILING_SECONDS, Aliases

MODELS = ("a", "b", "c", "d", "e")


@dataclass
class SlowGate(FakeGate):
    """Takes so long for each answer; about the models in ``failing``, it fails then."""

    seconds: float = 0.0
    failing: tuple[str, ...] = ()
    now: float = 0.0
    asked: list[str] = field(default_factory=list)

    def find_version(self, model: str, alias: str) -> str | None:
        self.asked.append(model)
        self.now += self.seconds
        if model in self.failing:
            raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The tracking server does not answer.")
        return super().find_version(model, alias)


@pytest.mark.parametrize(
    ("seconds", "failing", "asked"),
    [
        (0.1, MODELS, MODELS),
        (MOST_FAILING_SECONDS, ("a",), MODELS),
        (MOST_FAILING_SECONDS, (), MODELS),
        (MOST_FAILING_SECONDS, MODELS, MODELS[:2]),
    ],
    ids=["it refuses at once", "it hangs for one model", "it is slow", "it hangs"],
)
def test_the_sweep_asks_about_each_model_unless_mlflow_hangs(
    store: MemoryStore, seconds: float, failing: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    gate = SlowGate(seconds=seconds, failing=failing)
    for model in MODELS:
        made = NewPromotion(model, CHAMPION, Kind.FOREIGN, None, None, PromotionState.PROMOTED, "ann", "because")
        store.propose(made, seen=0)
    Aliases(store, gate, Time(clock=lambda: gate.now)).settle()
    assert tuple(gate.asked) == asked
