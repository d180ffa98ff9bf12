"""The registry in memory, as the service sees it when it decides about models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mypackage.gate.decision import Challenger, Champion
from mypackage.gate.proposal import Proposal
from shared.errors import Code, InfrastructureError
from shared.promoting import CannotMove


@dataclass
class FakeGate:
    """``proposed`` by run, ``values`` by version, ``aliases`` by model and alias; ``calls_until_down`` cuts it off."""

    proposed: dict[str, list[Proposal]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)  # runs of other jobs
    gone: set[str] = field(default_factory=set)  # versions that somebody deleted
    noted: dict[str, str] = field(default_factory=dict)
    tags: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    moves: list[tuple[str, str]] = field(default_factory=list)
    others: Mapping[str, float] = field(default_factory=dict)  # more metrics that every model logged
    calls_until_down: int | None = None

    def proposals(self, run_id: str) -> Sequence[Proposal]:
        """Return the run's."""
        self._answer()
        return self.proposed.get(run_id, ())

    def challenger(self, proposal: Proposal, metric: str) -> Challenger | None:
        """Return the proposal's value."""
        self._answer()
        value = self.values.get(proposal.run_id)
        return Challenger(proposal.model_name, metric, value, False, self._metrics(metric, value))

    def is_new_model(self, proposal: Proposal) -> bool:
        """Return whether nothing has an alias."""
        self._answer()
        return not self.aliases

    def find_champion(self, model: str, alias: str, metric: str) -> Champion | None:
        """Return who has the alias."""
        version = self.find_version(model, alias)
        if version is None:
            return None
        value = self.values.get(version)
        return Champion(version, value, metrics=self._metrics(metric, value))

    def is_of_job(self, proposal: Proposal, *, job_id: str, job_run: str) -> bool:
        """Return False for runs of other jobs."""
        self._answer()
        return proposal.run_id not in self.foreign

    def register(self, proposal: Proposal, tags: Mapping[str, str]) -> str:
        """Return its version, or the run's id as one."""
        self._answer()
        version = proposal.version or proposal.run_id
        self.values[version] = self.values[proposal.run_id]
        return version

    def note(self, run_ids: Sequence[str], *, decision: str, reason: str, promoted: bool) -> None:
        """Keep it."""
        self._answer()
        self.noted |= dict.fromkeys(run_ids, decision)

    def find_source_run(self, model: str, version: str) -> str | None:
        """Return a run of the version's own name."""
        self._answer()
        return None if version in self.gone else version

    def find_version(self, model: str, alias: str) -> str | None:
        """Return who has the alias."""
        self._answer()
        return self.aliases.get((model, alias))

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Move it."""
        self._answer()
        if version in self.gone or not alias.isidentifier():
            raise CannotMove(f"there is no version {version}, or no alias may be {alias}")
        self.aliases[model, alias] = version
        self.moves.append((alias, version))

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Keep them."""
        self._answer()
        self.tags[model, version] = tags

    def _metrics(self, metric: str, value: float | None) -> Mapping[str, float]:
        return {**self.others, **({metric: value} if value is not None else {})}

    def _answer(self) -> None:
        if self.calls_until_down is not None:
            self.calls_until_down -= 1
            if self.calls_until_down < 0:
                raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The tracking server does not answer.")
