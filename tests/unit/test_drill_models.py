"""What the drill checks about models can fail: each check is shown a record that must not be."""

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drill.invariants import Outcome
from tests.drill.leftovers import run_status
from tests.drill.load import Script, Sent
from tests.drill.models import (
    Aliases,
    ChampionWatch,
    Holder,
    each_success_was_decided,
    find_aliases,
    history_is_one_chain,
    the_best_is_champion,
)
from tests.drill.records import AttemptRow, JobRow, MoveRow, PromotionRow
from tests.drill.sampling import Violation

FIRST, SECOND = MoveRow("p1", "m", "1", None, "training"), MoveRow("p2", "m", "2", "1", "training")
BETTER, WORSE = Holder("2", 0.9), Holder("1", 0.8)
AT_THE_END: Aliases = {("m", "champion"): BETTER, ("m", "previous"): WORSE}
DECIDED = PromotionRow("p1", "m", "1", "promoted", "job", 1)


def champion(holder: Holder) -> Aliases:
    return {("m", "champion"): holder}


def outcome(state: str = "succeeded", **sent: object) -> Outcome:
    job = JobRow("job", state, "key", "default", "host", 1, None, None, None)
    proposing = replace(Sent(Script.PLAIN, "default", 1, 0.1, "key", model="m", value=0.8), **sent)  # type: ignore[arg-type]
    return Outcome({"job": job}, [], [], {"job": proposing}, frozenset(), frozenset(), frozenset())


def whats(found: list[Violation]) -> str:
    return "\n".join(each.what for each in found)


def test_a_champion_that_only_gets_better_is_right() -> None:
    watch = ChampionWatch()
    shown = [([], {}), ([FIRST], champion(WORSE)), ([FIRST], champion(BETTER)), ([FIRST, SECOND], AT_THE_END)]
    assert [watch.look(*each) for each in shown] == [[], [], [], []]


def test_a_champion_that_gets_worse_is_seen() -> None:
    watch = ChampionWatch()
    watch.look([], champion(BETTER))
    assert "which is worse" in whats(watch.look([], champion(WORSE)))


def test_a_champion_that_is_gone_is_seen() -> None:
    watch = ChampionWatch()
    watch.look([], champion(BETTER))
    assert "has no champion" in whats(watch.look([], {}))


def test_a_champion_that_is_worse_than_what_the_history_says_is_seen() -> None:
    watch = ChampionWatch(values={("m", "2"): 0.9})
    assert "worse than" in whats(watch.look([FIRST, SECOND], champion(WORSE)))


def test_a_history_that_agrees_with_the_aliases_is_right() -> None:
    assert history_is_one_chain([FIRST, SECOND], AT_THE_END) == []
    assert history_is_one_chain([], {}) == []


@pytest.mark.parametrize(
    ("moves", "aliases", "violation"),
    [
        ([FIRST, SECOND, SECOND], AT_THE_END, "2 times in the history"),
        ([FIRST, replace(SECOND, before=None)], AT_THE_END, "does not follow"),
        ([FIRST, replace(SECOND, kind="foreign")], AT_THE_END, "by nobody of ours"),
        ([FIRST], AT_THE_END, "in the history"),
        ([FIRST, SECOND], champion(BETTER), "in the history"),
        ([FIRST, SECOND], {}, "in the history"),
        ([], AT_THE_END, "in the history"),
    ],
)
def test_a_history_that_does_not_agree_is_seen(moves: list[MoveRow], aliases: Aliases, violation: str) -> None:
    assert re.search(violation, whats(history_is_one_chain(moves, aliases)))


def test_one_decision_of_each_proposing_success_is_right() -> None:
    assert each_success_was_decided(outcome(), [DECIDED]) == []
    assert each_success_was_decided(outcome(model=None), []) == []
    assert each_success_was_decided(outcome("cancelled"), []) == []


@pytest.mark.parametrize(
    ("ended", "promotions", "violation"),
    [
        (outcome(), [], "0 decisions"),
        (outcome(), [DECIDED, replace(DECIDED, id="p2")], "2 decisions"),
        (outcome(), [replace(DECIDED, state="moving")], "is not over"),
        (outcome("cancelled"), [DECIDED], "cancelled, with 1"),
        (outcome("failed"), [DECIDED], "failed, with 1"),
        (outcome(model=None), [DECIDED], "1 decisions"),
    ],
)
def test_a_success_without_its_decision_and_a_decision_without_success_are_seen(
    ended: Outcome, promotions: list[PromotionRow], violation: str
) -> None:
    assert violation in whats(each_success_was_decided(ended, promotions))


def test_a_better_model_that_is_not_champion_is_seen() -> None:
    assert the_best_is_champion(outcome(value=0.9), [DECIDED], champion(BETTER)) == []
    assert "champion is" in whats(the_best_is_champion(outcome(value=0.95), [DECIDED], champion(BETTER)))
    assert "champion is None" in whats(the_best_is_champion(outcome(), [DECIDED], {}))


def test_aliases_are_read_from_mlflows_own_database(tmp_path: Path) -> None:
    assert find_aliases(tmp_path / "none.db") is None
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.executescript(
            "CREATE TABLE registered_model_aliases (name, alias, version);"
            "CREATE TABLE model_versions (name, version, run_id);"
            "CREATE TABLE latest_metrics (run_uuid, key, value);"
            "INSERT INTO registered_model_aliases VALUES ('m', 'champion', 2);"
            "INSERT INTO model_versions VALUES ('m', 2, 'run'), ('m', 1, 'other');"
            "INSERT INTO latest_metrics VALUES ('run', 'accuracy', 0.9), ('run', 'recall', 0.1);"
        )
    connection.close()
    assert find_aliases(tmp_path / "mlflow.db") == champion(BETTER)


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [(None, None, "KILLED"), ("USER_CANCELLED", "cancelled", "KILLED"), ("DISK_FULL", "infrastructure", "FAILED")],
)
def test_a_job_that_was_cancelled_between_two_attempts_leaves_the_first_ones_end(
    code: str | None, kind: str | None, status: str
) -> None:
    attempt = AttemptRow("job", 1, "host", None, "run", None, code, kind, None)
    assert run_status(attempt, outcome("cancelled").jobs["job"]) == status
