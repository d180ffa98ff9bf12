"""A worker that is killed before any one of its calls while it decides and moves: the next one finishes, once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mypackage.gate.proposal import Proposal
from shared.jobs.promotions import CHAMPION, PREVIOUS, Event, Kind, MoveUnderWay, NewPromotion, PromotionState
from shared.jobs.records import Claim, Resolution
from shared.promoting import MOVE_SECONDS, Time, carry_out
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.support.jobs import claimed
from worker.attempt.deciding import Deciding
from worker.sweep.aliases import Aliases

MODEL = "iris"
VALUES = {"first": 0.7, "second": 0.8, "third": 0.9}


class Killed(BaseException):
    """What no code of ours catches."""


class Counted:
    """Stands before a store or registry. The process dies before its n-th call, and reaches nothing from then on."""

    def __init__(self, target: object, life: "Life") -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._target, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self._life.spend(name)
            result = call(*arguments, **named)
            self._life.look()
            return result

        return counted


class Life:
    """How many more calls a worker makes."""

    def __init__(self, calls: int | None, bench: "Bench") -> None:
        self.left, self.bench, self.names = calls, bench, list[str]()

    def spend(self, name: str) -> None:
        self.names.append(name)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed(name)

    def look(self) -> None:
        self.bench.look()


class Bench:
    """One model, whose jobs come one after the other."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.store, self.gate = MemoryStore(clock=lambda: self.now), FakeGate(values=dict(VALUES))
        self.seen: list[str | None] = []

    def look(self) -> None:
        champion = self.gate.aliases.get((MODEL, CHAMPION))
        if self.seen[-1:] != [champion]:
            self.seen.append(champion)

    def claim(self, run: str) -> Claim:
        claim = claimed(self.store, concurrency_key=run)
        self.store.resolve(claim, Resolution(run_id=run))
        self.gate.proposed[run] = [
            Proposal(MODEL, f"runs:/{run}/m", run, "accuracy", False, CHAMPION, 1, True, version=run)
        ]
        return claim

    def decide(self, claim: Claim, calls: int | None = None) -> Life:
        life = Life(calls, self)
        Deciding(Counted(self.store, life), Counted(self.gate, life)).run(claim)
        return life

    def sweep(self, calls: int | None = None) -> Life:
        life = Life(calls, self)
        Aliases(Counted(self.store, life), Counted(self.gate, life)).settle()
        return life

    def seconds(self) -> float:
        return self.now.timestamp()

    def wait(self) -> None:
        self.now += timedelta(seconds=MOVE_SECONDS + 1)

    def check(self, *promoted: str) -> None:
        """Champion only got better, was never taken away, and each move is in the history exactly once."""
        values = [VALUES[each] for each in self.seen if each is not None]
        assert None not in self.seen[1:]
        assert values == sorted(values)
        lines = [each for each in reversed(self.store.history(MODEL, limit=99)) if each.event is Event.MOVED]
        assert [(each.before, each.version) for each in lines] == list(zip([None, *promoted], promoted, strict=False))
        assert {each.kind for each in lines} == {Kind.TRAINING}
        aliases = {alias: version for (_model, alias), version in self.gate.aliases.items()}
        assert aliases == {CHAMPION: promoted[-1], PREVIOUS: promoted[-2]}
        assert self.store.unfinished(PromotionState.MOVING) == []


def calls_of_a_decision() -> list[str]:
    bench = Bench()
    bench.decide(bench.claim("first"))
    return bench.decide(bench.claim("second")).names


EVERY_CALL = range(len(calls_of_a_decision()))


def killed(bench: Bench, call: int) -> Claim:
    bench.decide(bench.claim("first"))
    claim = bench.claim("second")
    with pytest.raises(Killed):
        bench.decide(claim, call)
    return claim


def test_every_write_of_decision_and_move_is_among_the_calls() -> None:
    names = calls_of_a_decision()
    assert [each for each in names if each in ("propose", "begin_move", "move_alias", "carried_out", "noted")] == [
        "propose",
        "begin_move",
        "move_alias",
        "move_alias",
        "carried_out",
        "noted",
    ]


@pytest.mark.parametrize("call", EVERY_CALL)
def test_the_next_worker_of_the_job_decides_and_moves_once(call: int) -> None:
    bench = Bench()
    claim = killed(bench, call)
    bench.wait()
    bench.decide(claim)
    bench.check("first", "second")


@pytest.mark.parametrize("call", EVERY_CALL)
def test_the_sweep_makes_the_move_that_was_left(call: int) -> None:
    bench = Bench()
    claim = killed(bench, call)
    bench.wait()
    bench.sweep()
    is_decided = bool(bench.store.of_attempt(claim.job.id, 1))
    assert is_decided == (call > calls_of_a_decision().index("propose"))
    assert (bench.gate.aliases[MODEL, CHAMPION] == "second") == is_decided
    bench.decide(claim)
    bench.check("first", "second")


@pytest.mark.parametrize("call", EVERY_CALL)
def test_another_job_of_the_model_goes_on_and_the_better_one_stays(call: int) -> None:
    bench = Bench()
    claim = killed(bench, call)
    is_decided = bool(bench.store.of_attempt(claim.job.id, 1))
    bench.wait()
    bench.decide(bench.claim("third"))
    bench.decide(claim)
    bench.check("first", *(["second"] if is_decided else []), "third")


def test_a_sweep_that_is_killed_anywhere_leaves_a_move_that_the_next_one_makes() -> None:
    for call in range(1000):
        bench = Bench()
        killed(bench, calls_of_a_decision().index("begin_move"))
        bench.wait()
        try:
            bench.sweep(call)
        except Killed:
            bench.wait()
            bench.sweep()
            bench.check("first", "second")
        else:
            break
    assert call > 10


def test_who_is_too_slow_moves_nothing_any_more() -> None:
    bench = Bench()
    bench.decide(bench.claim("first"))
    new = NewPromotion(MODEL, CHAMPION, Kind.TRAINING, "second", "first", PromotionState.MOVING, "job", "promoted")
    made = bench.store.propose(new, seen=bench.store.last_event(MODEL, CHAMPION))
    slow, find_version = FakeGate(aliases=bench.gate.aliases), bench.gate.find_version

    def find_slowly(model: str, alias: str) -> str | None:
        holder = find_version(model, alias)
        bench.wait()  # and meanwhile others come to their end
        carry_out(bench.store, bench.gate, made)
        bench.decide(bench.claim("third"))
        return holder

    slow.find_version = find_slowly  # type: ignore[method-assign]
    with pytest.raises(MoveUnderWay):
        carry_out(bench.store, slow, made, by=Time(bench.seconds, lambda _: None))
    bench.check("first", "second", "third")
