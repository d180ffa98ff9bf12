"""A model registry whose callers take turns: before each call the caller gives way, and a schedule says who goes on.

It answers as MlflowClient does, as far as the gate asks. Version n is that of run n; there is one model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

METRIC = "accuracy"


@dataclass
class FakeRegistry:
    """The values of the versions, and where aliases and tags are."""

    values: dict[str, float] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    fenced: set[str] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)

    def register(self, value: float) -> str:
        """Add a version."""
        version = str(len(self.values) + 1)
        self.values[version] = value
        return version

    def get_model_version_by_alias(self, _name: str, alias: str) -> Any:
        """The version that the alias points to."""
        give_way()
        if alias not in self.aliases:
            raise MlflowException("no such alias", error_code=INVALID_PARAMETER_VALUE)
        return SimpleNamespace(version=self.aliases[alias], run_id=self.aliases[alias])

    def get_model_version(self, _name: str, version: str) -> Any:
        """A version."""
        give_way()
        return SimpleNamespace(version=version, run_id=version, tags={})

    def get_run(self, run_id: str) -> Any:
        """The run of a version."""
        give_way()
        tags = {"retrain.fenced": "true"} if run_id in self.fenced else {}
        return SimpleNamespace(data=SimpleNamespace(metrics={METRIC: self.values[run_id]}, tags=tags))

    def get_registered_model(self, _name: str) -> Any:
        """The model with its tags."""
        give_way()
        return SimpleNamespace(tags=dict(self.tags))

    def set_registered_model_tag(self, _name: str, key: str, value: str) -> None:
        """Tag the model."""
        give_way()
        self.tags[key] = value

    def delete_registered_model_tag(self, _name: str, key: str) -> None:
        """Take a tag away; one that is gone already is no error in MLflow, either."""
        give_way()
        self.tags.pop(key, None)

    def set_registered_model_alias(self, _name: str, alias: str, version: str) -> None:
        """Point an alias to a version, whatever it pointed to."""
        give_way()
        self.aliases[alias] = version
        if alias == "champion":
            self.moves.append(version)


def give_way() -> None:
    """Let the schedule decide who goes on."""
    if (parent := getcurrent().parent) is not None:
        parent.switch()


def take_turns(callers: Sequence[Callable[[], object]], choose: Callable[[int], int]) -> None:
    """Run all to their ends, one call at a time; ``choose`` picks one of so many."""
    waiting = [greenlet(caller) for caller in callers]
    while waiting:
        waiting[choose(len(waiting))].switch()
        waiting = [each for each in waiting if not each.dead]
