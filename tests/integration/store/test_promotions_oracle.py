"""Random promotions, answers, rollbacks, probations, moves by hand: history and alerts agree with an oracle.

Some 200 moves of champions in a run, and 1,000 with LONG=1.
"""

import math
import random
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.replay import Outcome, replay
from mypackage.gate.decision import Challenger, Champion, decide
from mypackage.gate.rules import Guardrail, Rules
from shared.alerts.model import AlertEvent, Alerting
from shared.errors import NotChampion
from shared.jobs.observations import NewObservation, Verdict
from shared.jobs.promotions import Event, HistoryLine, Kind, MoveUnderWay, NewPromotion, Promotion, PromotionState
from shared.probation import find_champion, move_back
from shared.promoting import carry_out, look_for_foreign
from shared.sql import SqlStore
from tests.fakes.model_gate import FakeGate
from tests.support.length import rounds

MODELS = ("iris", "digits")
pytestmark = pytest.mark.timeout(rounds(600, long=3000))  # the more was done, the longer each step takes

STEPS, MOVES = rounds(500, long=2600), rounds(150, long=1000)
PROBATION: dict[str, Any] = {
    "seconds": 5000.0,
    "metric": "accuracy",
    "lower_is_better": False,
    "max_worsening": 0.1,
    "reference": 0.9,
}


@dataclass
class Oracle:
    """Who was champion of each model since when, kept as simply as possible."""

    moves: dict[str, list[tuple[datetime, str | None]]] = field(default_factory=lambda: {model: [] for model in MODELS})

    def champion(self, model: str, at: datetime | None = None) -> str | None:
        found = [version for moved_at, version in self.moves[model] if at is None or moved_at <= at]
        return found[-1] if found else None


class Bench:
    """A store on a clock of its own, a registry, and the oracle."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a schedule
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        alerting = Alerting(frozenset(AlertEvent), frozenset({"discord"}))
        self.store = SqlStore(url, clock=lambda: self.now, alerting=alerting)
        self.gate, self.oracle = FakeGate(), Oracle()
        self.waiting: list[Promotion] = []
        self.versions = 0
        self.asked = 0
        self.probations: dict[str, tuple[Promotion, datetime]] = {}  # the last that a promotion began

    def step(self) -> None:
        self.now += timedelta(seconds=self.random.choice((0, 1, 3600)))
        model = self.random.choice(MODELS)
        steps = (self.promote, self.promote, self.ask, self.answer, self.roll_back, self.move_by_hand, self.observe)
        self.random.choice((*steps, self.observe, self.refuse))(model)
        assert self.gate.find_version(model, "champion") == self.oracle.champion(model)

    def promote(self, model: str) -> None:
        look_for_foreign(self.store, self.gate, model, "champion")
        made = self._propose(model, Kind.TRAINING, PromotionState.MOVING)
        if self.random.random() < 0.2:  # its worker is killed in between, and another one carries it out
            if self.random.random() < 0.5:
                self.gate.move_alias(model, "champion", str(made.version))
            with pytest.raises(MoveUnderWay):
                self._propose(model, Kind.TRAINING, PromotionState.MOVING)
            [made] = self.store.unfinished(PromotionState.MOVING)
        carry_out(self.store, self.gate, made)
        carry_out(self.store, self.gate, made)
        self._moved(model, made.version)
        self.probations[model] = (made, self.now)

    def observe(self, model: str) -> None:
        """Report a value of the champion or, if nobody is, of anything; a worse one than allowed moves it back."""
        champion, begun = self.oracle.champion(model), self.probations.get(model)
        is_bad = self.random.random() < 0.3
        new = NewObservation(model, "accuracy", 0.5 if is_bad else 0.9, "api", champion, self.now)
        find_champion(self.store, self.gate, model)
        if champion is None:
            with pytest.raises(NotChampion):
                self.store.observe(new)
            return
        if any(each.at == self.now for each in self.store.observations(model, version=champion, limit=1)):
            return
        made, since = begun if begun and begun[0].version == champion else (None, self.now)
        is_judged = made is not None and self.now < since + timedelta(seconds=PROBATION["seconds"])
        seen = self.store.observe(new)
        assert (seen.verdict is not Verdict.NOT_JUDGED) == is_judged
        if is_bad and made is not None and is_judged and made.before is not None:
            self._move_back(model)
            self._moved(model, made.before)

    def _move_back(self, model: str) -> None:
        if self.random.random() < 0.3:  # who took the observation is killed, and the sweep does it
            [broken] = self.store.broken()
            assert broken.model == model
        done = move_back(self.store, self.gate, model)
        assert done is not None
        assert move_back(self.store, self.gate, model) is None

    def refuse(self, model: str) -> None:
        self._propose(model, Kind.TRAINING, PromotionState.NOT_PROMOTED)

    def ask(self, model: str) -> None:
        self.asked += 1
        self.waiting.append(self._propose(model, Kind.TRAINING, PromotionState.AWAITING_APPROVAL))

    def answer(self, _model: str) -> None:
        if not self.waiting:
            return
        one = self.waiting.pop(self.random.randrange(len(self.waiting)))
        if self.random.random() < 0.5:
            state, event = self.random.choice(
                ((PromotionState.REJECTED, Event.REJECTED), (PromotionState.EXPIRED, Event.EXPIRED))
            )
            self.store.settle(one.id, state, event=event, actor="ann", reason="no")
            return
        look_for_foreign(self.store, self.gate, one.model, "champion")
        seen, before = self.store.last_event(one.model, "champion"), self.gate.find_version(one.model, "champion")
        moving = self.store.settle(
            one.id, PromotionState.MOVING, event=Event.APPROVED, actor="ann", reason="yes", seen=seen, before=before
        )
        carry_out(self.store, self.gate, moving)
        self._moved(one.model, one.version)

    def roll_back(self, model: str) -> None:
        look_for_foreign(self.store, self.gate, model, "champion")
        if (before := self.oracle.moves[model]) and before[0][1] != self.oracle.champion(model):
            made = self._propose(model, Kind.ROLLBACK, PromotionState.MOVING, version=before[0][1])
            carry_out(self.store, self.gate, made)
            self._moved(model, made.version)

    def move_by_hand(self, model: str) -> None:
        self.gate.move_alias(model, "champion", version := self._version())
        look_for_foreign(self.store, self.gate, model, "champion")
        self._moved(model, version)

    def _moved(self, model: str, version: str | None) -> None:
        self.oracle.moves[model].append((self.now, version))
        self.probations.pop(model, None)  # an old one moves nobody

    def told(self) -> dict[AlertEvent, list[HistoryLine]]:
        """Send all alerts, which fails now and then; return what they told, by event."""
        told: dict[AlertEvent, list[HistoryLine]] = {event: [] for event in AlertEvent}
        while alert := self.store.take_alert(["discord"], lease_seconds=60):
            if self.random.random() < 0.1:
                self.store.alert_failed(alert, retry_in_seconds=0)
                continue
            self.store.alert_sent(alert)
            assert alert.line is not None
            lines = {line.number: line for line in self.store.lines_of(alert.line.promotion_id)}
            told[alert.event].append(lines[alert.line.number])
        return told

    def _version(self) -> str:
        self.versions += 1
        return str(self.versions)

    def _propose(self, model: str, kind: Kind, state: PromotionState, version: str | None = None) -> Promotion:
        before = self.gate.find_version(model, "champion")
        who = (version or self._version(), before, state, "job", "because")
        new = NewPromotion(model, "champion", kind, *who)
        if kind is Kind.TRAINING:
            new = self._decided(new, promoted=state is not PromotionState.NOT_PROMOTED)
        return self.store.propose(new, seen=self.store.last_event(model, "champion"))

    def _decided(self, new: NewPromotion, *, promoted: bool) -> NewPromotion:
        """Return it with random numbers and rules by which the gate decides so."""
        while True:
            challenger, champion = self._models(new)
            rail = Guardrail("recall", self.random.choice((0.0, 0.1)), lower_is_better=False)
            least = self.random.choice((None, 0.3))
            rules = Rules(self.random.random() < 0.5, self.random.choice((0.0, 0.1)), least, (rail,) * (least is None))
            decision = decide(challenger, champion, rules)
            if decision.promoted == promoted:
                break
        facts = {"challenger": asdict(challenger), "champion": asdict(champion) if champion else None}
        probation = {"probation": PROBATION} if new.state is PromotionState.MOVING else {}
        told = {"promoted": promoted, "reason": decision.reason}
        return replace(new, facts={**facts, "rules": asdict(rules), **probation}, decision=told)

    def _models(self, new: NewPromotion) -> tuple[Challenger, Champion | None]:
        ours, theirs = ({"accuracy": self._value(), "recall": self._value()} for _ in range(2))
        challenger = Challenger(new.model, "accuracy", ours["accuracy"], metrics=ours)
        champion = Champion(new.before, theirs["accuracy"], metrics=theirs) if new.before is not None else None
        return challenger, champion

    def _value(self) -> float:
        return self.random.choice((0.1, 0.5, 0.6, 0.9, 0.95, math.nan))


@pytest.mark.parametrize("seed", [1, 2])
def test_history_and_who_was_champion_when_agree_with_an_oracle(sqlite_url: str, seed: int) -> None:
    bench = Bench(sqlite_url, seed)
    for _ in range(STEPS):
        bench.step()
    assert sum(len(moves) for moves in bench.oracle.moves.values()) >= MOVES
    for model, moves in bench.oracle.moves.items():
        lines = [each for each in bench.store.history(model, limit=10_000) if each.event is Event.MOVED]
        assert [(each.at, each.version) for each in reversed(lines)] == moves  # each exactly once
        for at, _version in moves:
            for moment in (at - timedelta(seconds=1), at, at + timedelta(seconds=1)):
                line = bench.store.champion_at(model, "champion", moment)
                assert (line.version if line else None) == bench.oracle.champion(model, moment)
    assert bench.store.unfinished(PromotionState.MOVING) == []
    told = bench.told()
    for model, moves in bench.oracle.moves.items():
        changed = [line for line in told[AlertEvent.CHAMPION_CHANGED] if line.model == model]
        assert [(line.at, line.version) for line in changed] == moves  # each told exactly once, in order
    assert len({line.promotion_id for line in told[AlertEvent.APPROVAL_WANTED]}) == bench.asked
    assert len(told[AlertEvent.APPROVAL_WANTED]) == bench.asked
    _require_that_replays_agree(bench)
    kinds = {each.kind for model in MODELS for each in bench.store.history(model, limit=10_000)}
    assert kinds == set(Kind)
    bench.store.close()


def _require_that_replays_agree(bench: Bench) -> None:
    """The same rules differ nowhere; those that let nobody in refuse each that was promoted, and no other."""
    nobody: list[dict[str, Any]] = [
        {"direction": "higher_is_better", "min_value": 2.0},
        {"direction": "lower_is_better", "min_value": -2.0},
    ]
    for model in MODELS:
        decisions = bench.store.decisions(model, limit=10_000)
        assert len(decisions) > 10
        assert Counter(each.outcome for each in replay(decisions, {})) == {Outcome.SAME: len(decisions)}
        promoted = [each.id for each in decisions if each.decision["promoted"]]
        for rules in nobody:
            done = replay(decisions, rules)
            assert [each.promotion.id for each in done if each.outcome is Outcome.WOULD_REFUSE] == promoted
            assert {each.outcome for each in done} <= {Outcome.SAME, Outcome.WOULD_REFUSE}
