"""What simulated jobs propose, and what must hold of their model's aliases, whatever happens in whichever order."""

from itertools import pairwise
from typing import Any

from mypackage.gate.proposal import Proposal
from shared.jobs.model import Attempt, Job, JobState
from shared.jobs.promotions import CHAMPION, PREVIOUS, Event, HistoryLine, Kind, Promotion, PromotionState
from shared.jobs.store import JobStore
from tests.fakes.model_gate import FakeGate
from tests.simulation.oracle import Oracle

MODEL = "iris"
MOST_ATTEMPTS = 30
ALL = 10_000
DECIDED = ("promoted", "not_promoted")


class Champions:
    """Sees every move of an alias when it is made, and compares the history with them at the end."""

    def __init__(self, store: JobStore, oracle: Oracle, gate: FakeGate) -> None:
        self.gate = gate
        self.values: dict[str, int] = {}  # by job
        self._store, self._oracle = store, oracle
        self._moves: list[str] = []  # of champion, each to another version

    def submitted(self, job_id: str, value: int) -> None:
        """Let every attempt of a job propose a model of this value."""
        self.values[job_id] = value
        for run_id in (f"run-{job_id}-{number}" for number in range(1, MOST_ATTEMPTS)):
            self.gate.values[run_id] = value
            self.gate.proposed[run_id] = [
                Proposal(MODEL, f"runs:/{run_id}/m", run_id, "a", False, CHAMPION, 1, True, version=run_id)
            ]

    def observe(self, name: str, arguments: tuple[Any, ...], _named: dict[str, Any], _result: Any) -> None:
        """See what a call of the registry did."""
        if name != "move_alias":
            return
        _model, alias, version = arguments
        decided = {each.version for each in self._lines(Event.DECIDED)}
        self._oracle.expect(version in decided, f"{version} got the alias {alias} and nobody had decided that")
        if alias == CHAMPION and self._moves[-1:] != [version]:
            for before in self._moves[-1:]:
                is_worse = self.gate.values[version] <= self.gate.values[before]
                self._oracle.expect(not is_worse, f"champion went from {before} to {version}, which is worse")
            self._moves.append(version)

    def is_at_rest(self) -> bool:
        """Whether nothing is being moved."""
        return not self._store.unfinished(PromotionState.MOVING)

    def check_the_end(self) -> None:
        """Compare the history with the aliases and the moves."""
        expect, aliases = self._oracle.expect, self.gate.aliases
        lines = self._lines(Event.MOVED)
        expect(all(each.kind is Kind.TRAINING for each in lines), f"nobody moved an alias by hand: {lines}")
        if self._oracle.violations:
            return
        expect([each.version for each in lines] == self._moves, f"the history has {lines}, of the moves {self._moves}")
        for before, after in pairwise([None, *(each.version for each in lines)]):
            told = [each.before for each in lines if each.version == after]
            expect(told == [before], f"{after} replaced {before}, and {told} in the history")
        for last in lines[-1:]:
            now = (aliases.get((MODEL, CHAMPION)), aliases.get((MODEL, PREVIOUS)))
            expect(now == (last.version, last.before), f"the aliases are {now} at the end, in the history {last}")
        best = max((self.gate.values[each.version or ""] for each in self._lines(Event.DECIDED)), default=None)
        champion = aliases.get((MODEL, CHAMPION), "")
        expect(best == self.gate.values.get(champion), f"the best of all has {best}, and champion is {champion}")

    def check_job(self, job: Job) -> None:
        """Compare a job's end with what was decided about its model."""
        if job.id not in self.values:
            return
        expect = self._oracle.expect
        promotions = [each for number in range(1, len(job.attempts) + 1) for each in self._of(job, number)]
        if job.state is JobState.SUCCEEDED:
            shown = ((job.result or {}).get("decision") or {}).get("state")
            expect(shown in DECIDED and len(promotions) == 1, f"{job.id} succeeded, and says {shown}: {promotions}")
            expect([each.state for each in promotions] == [shown], f"{job.id} says {shown} of {promotions}")
        else:
            expect(not promotions, f"{job.id} is {job.state}, and {promotions} was decided")

    def without_decision(self, log: bytes, printed: bytes, job: Job, attempt: Attempt) -> bytes:
        """Return what is kept of what the training itself printed: the decision is a line after that."""
        for each in self._of(job, attempt.number):
            own = log.removesuffix(f"{each.reason}\n".encode())
            self._oracle.expect(b"promoted: " not in own, f"the log of {job.id} says {each.reason} twice")
            return printed if own == printed + b"\n" else own
        return log

    def _of(self, job: Job, number: int) -> list[Promotion]:
        return list(self._store.of_attempt(job.id, number))

    def _lines(self, event: Event) -> list[HistoryLine]:
        lines = self._store.history(MODEL, alias=CHAMPION, limit=ALL)
        return [each for each in reversed(lines) if each.event is event]
