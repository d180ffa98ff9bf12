"""What must hold of the models that the drill's trainings propose, while it runs and at its end."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.drill.invariants import Outcome
from tests.drill.project import METRIC
from tests.drill.records import MoveRow, PromotionRow
from tests.drill.sampling import Violation

CHAMPION, PREVIOUS = "champion", "previous"
ALIASES = """
SELECT a.name, a.alias, a.version, m.value FROM registered_model_aliases a
JOIN model_versions v ON v.name = a.name AND v.version = a.version
JOIN latest_metrics m ON m.run_uuid = v.run_id AND m.key = :metric
"""
READ_SECONDS = 5


@dataclass(frozen=True)
class Holder:
    """The version that has an alias, and its model's value."""

    version: str
    value: float


Aliases = Mapping[tuple[str, str], Holder]


def read_aliases(database: Path) -> Aliases:
    """All aliases, of one moment, as MLflow's database has them: whether or not its server is up."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=READ_SECONDS)) as connection:
        rows = connection.execute(ALIASES, {"metric": METRIC})
        return {(name, alias): Holder(str(version), float(value)) for name, alias, version, value in rows}


def find_aliases(database: Path) -> Aliases | None:
    """Return the same; None while a killed server's last transaction is still to be rolled back."""
    with suppress(sqlite3.OperationalError):
        return read_aliases(database)
    return None


@dataclass
class ChampionWatch:
    """Compares what it is shown with all that it saw before."""

    seen: dict[str, Holder] = field(default_factory=dict)
    values: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self, moves: Sequence[MoveRow], aliases: Aliases) -> list[Violation]:
        """Return what must not be. The moves are those of the history, read before the aliases were."""
        now = {model: holder for (model, alias), holder in aliases.items() if alias == CHAMPION}
        self.values |= {(model, holder.version): holder.value for model, holder in now.items()}
        found = [Violation(f"{model} has no champion, after {self.seen[model]}") for model in self.seen.keys() - now]
        for model, holder in now.items():
            before = self.seen.get(model, holder)
            if holder.value < before.value:
                found.append(Violation(f"{model}'s champion went from {before} to {holder}, which is worse"))
        for move in moves:
            decided = self.values.get((move.model, move.version or ""))
            if move.model in now and decided is not None and now[move.model].value < decided:
                found.append(Violation(f"{now[move.model]} is champion, worse than {move}, which has {decided}"))
        self.seen |= now
        return found


def history_is_one_chain(moves: Sequence[MoveRow], aliases: Aliases) -> list[Violation]:
    """Each move is in the history once, begins where the one before it ended, and the last is what MLflow has."""
    counts = Counter(each.promotion_id for each in moves)
    found = [
        Violation(f"{each} is {counts[each.promotion_id]} times in the history")
        for each in moves
        if counts[each.promotion_id] > 1
    ]
    found += [Violation(f"{each} was made by nobody of ours") for each in moves if each.kind != "training"]
    last: dict[str, MoveRow] = {}
    for each in moves:
        before = last[each.model].version if each.model in last else None
        if each.before != before:
            found.append(Violation(f"{each} does not follow {last.get(each.model)}"))
        last[each.model] = each
    for model in last.keys() | {name for name, _alias in aliases}:
        told = (last[model].version, last[model].before) if model in last else (None, None)
        has = tuple(_version(aliases, model, alias) for alias in (CHAMPION, PREVIOUS))
        if has != told:
            found.append(Violation(f"{model} has {has} at the end as champion and previous, and {told} in the history"))
    return found


def each_success_was_decided(outcome: Outcome, promotions: Sequence[PromotionRow]) -> list[Violation]:
    """A job that succeeded has one decision about the model that it proposed; any other has none."""
    by_job: dict[str, list[PromotionRow]] = {}
    for each in promotions:
        by_job.setdefault(each.job_id or "", []).append(each)
    found = []
    for job_id, sent in outcome.sent.items():
        state, mine = outcome.jobs[job_id].state, by_job.get(job_id, [])
        wanted = int(state == "succeeded" and sent.model is not None)
        if len(mine) != wanted:
            found.append(Violation(f"{state}, with {len(mine)} decisions about its models: {mine}", job_id))
        found += [
            Violation(f"{each} is not over", job_id) for each in mine if each.state not in ("promoted", "not_promoted")
        ]
    return found


def the_best_is_champion(outcome: Outcome, promotions: Sequence[PromotionRow], aliases: Aliases) -> list[Violation]:
    """Nothing that was decided about is better than the champion at the end."""
    found = []
    for each in promotions:
        sent, holder = outcome.sent.get(each.job_id or ""), aliases.get((each.model, CHAMPION))
        if sent is not None and (holder is None or holder.value < sent.value):
            found.append(Violation(f"{each} has {sent.value}, and champion is {holder}", each.job_id))
    return found


def _version(aliases: Aliases, model: str, alias: str) -> str | None:
    holder = aliases.get((model, alias))
    return holder.version if holder is not None else None
