"""Moves the champion alias so that, when several gates decide at the same time, the best model ends as champion.

MLflow moves an alias without telling what it was, so a gate may overwrite a better champion that appeared after it
looked. Each gate therefore announces a move beforehand, looks again afterwards, and repairs what it overwrote.
docs/decisions/0008 explains why this ends well.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ..protocol import CHAMPION, PREVIOUS
from .champions import find_champion, find_rival
from .decision import Challenger, Champion, Decision, decide
from .numbers import known
from .open_gates import OpenGates
from .rules import Rules

MOST_ROUNDS = 100  # two contradictory gates, one for higher values and one for lower, would go on forever


@dataclass(frozen=True)
class AliasMove:
    """A registered challenger, and the alias that it is to take."""

    client: MlflowClient
    challenger: Challenger
    version: str
    rules: Rules
    alias: str
    require_not_fenced: Callable[[], None]

    @property
    def previous_alias(self) -> str:
        """The alias that the replaced champion gets."""
        return previous_alias(self.alias)

    def find_champion(self) -> Champion | None:
        """Return the version that has the alias now."""
        return find_champion(self.client, self.challenger.model_name, self.challenger.metric, alias=self.alias)

    def move(self, alias: str, version: str) -> None:
        """Point an alias at a version of the model."""
        name = self.challenger.model_name
        try:
            self.client.set_registered_model_alias(name, alias, version)
        except MlflowException as error:
            # If two create the same alias at once, MLflow's database lets only one do it. Now it exists.
            if error.error_code != "BAD_REQUEST":
                raise
            self.client.set_registered_model_alias(name, alias, version)


@dataclass(frozen=True)
class Outcome:
    """The final decision, and the champion that the challenger was compared with."""

    decision: Decision
    champion: Champion | None


def previous_alias(alias: str) -> str:
    """Return the alias of the champion before this one."""
    return PREVIOUS if alias == CHAMPION else f"{PREVIOUS}-{alias}"


def promote(contest: AliasMove) -> Outcome:
    """Make the challenger champion unless the registry has a better one; return once the alias is settled."""
    gates = OpenGates(contest.client, contest.challenger.model_name, contest.alias, contest.version)
    outcome = _settle(contest, gates)
    gates.close()
    return outcome


def _settle(contest: AliasMove, gates: OpenGates) -> Outcome:
    moved: Outcome | None = None
    for _ in range(MOST_ROUNDS):
        champion = contest.find_champion()
        overwritten = _find_better(contest, gates, champion) if moved else None
        if overwritten is not None:
            gates.announce_move(overwritten.version)
            contest.move(contest.alias, overwritten.version)
        elif moved and champion is not None and champion.version == contest.version:
            return moved
        else:
            decision = decide(contest.challenger, champion, contest.rules)
            if not decision.promoted:
                return Outcome(_lost(decision, contest.version), champion)
            moved = Outcome(decision, champion)
            _take(contest, gates, champion)
    refusal = f"not promoted: the alias '{contest.alias}' moved to and fro {MOST_ROUNDS} times meanwhile"
    return Outcome(_lost(Decision(False, refusal), contest.version), contest.find_champion())


def _take(contest: AliasMove, gates: OpenGates, champion: Champion | None) -> None:
    contest.require_not_fenced()
    gates.announce_move(contest.version)
    if champion is not None:
        contest.move(contest.previous_alias, champion.version)
    contest.move(contest.alias, contest.version)


def _find_better(contest: AliasMove, gates: OpenGates, champion: Champion | None) -> Champion | None:
    """Return the best version that the alias was moved to meanwhile, if it is better than the champion.

    A champion whose value is unknown was chosen by a person, and stays.
    """
    name, metric = contest.challenger.model_name, contest.challenger.metric
    rivals = [find_rival(contest.client, name, version, metric) for version in gates.rivals()]
    contenders = [rival for rival in (champion, *rivals) if rival is not None and known(rival.value) is not None]
    if not contenders or (champion is not None and champion not in contenders):
        return None
    best = min(contenders, key=lambda each: _rank(each, contest.rules))
    return best if champion is None or best.version != champion.version else None


def _rank(champion: Champion, rules: Rules) -> tuple[float, int]:
    """Return a sort key, best version first; of two equally good ones, the one registered first."""
    value = champion.value or 0.0
    return (value if rules.lower_is_better else -value, int(champion.version))


def _lost(decision: Decision, version: str) -> Decision:
    note = f"another champion came meanwhile; version {version} stays without the alias"
    return replace(decision, reason=f"{decision.reason}: {note}")
