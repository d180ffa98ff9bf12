"""Takes what monitoring reports about a champion; one that breaks its probation gives way to the one before."""

from dataclasses import dataclass

from api.model_registry import ModelRegistry
from shared.jobs.observation_store import ModelRecord
from shared.jobs.observations import NewObservation, Observation, Verdict
from shared.probation import find_champion, move_back


@dataclass(frozen=True)
class Observed:
    """A recorded observation, and who is champion after it."""

    observation: Observation
    champion: str | None


def observe(store: ModelRecord, registry: ModelRegistry, new: NewObservation) -> Observed:
    """Record and judge an observation, and carry out what follows. Safe to repeat after a failure at any point."""
    champion = find_champion(store, registry, new.model)
    observation = store.observe(new)
    if observation.verdict is Verdict.BROKEN:
        move_back(store, registry, new.model)
        champion = find_champion(store, registry, new.model)
    return Observed(observation, champion)
