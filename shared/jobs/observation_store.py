"""What a store of observations promises. Every method is one transaction; each may raise StoreUnavailable."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.jobs.observations import NewObservation, Observation, UnderWay
from shared.jobs.promotion_store import Promotions


class Observations(Protocol):
    """The record of what monitoring reports about champions, and of their probations."""

    def observe(self, new: NewObservation) -> Observation:
        """Record and judge it, once for each version, metric and time.

        One that is known is returned, whoever is champion by now. Otherwise raises NotChampion if its version is not
        the champion, or none is; and ObservationRefused if its time is too far away,
        or another value is recorded for it.
        """

    def observations(
        self,
        model: str,
        *,
        version: str | None = None,
        metric: str | None = None,
        limit: int,
        before_number: int | None = None,
    ) -> Sequence[Observation]:
        """Return a model's observations, the newest first."""

    def probations(self, model: str | None = None) -> Mapping[str, UnderWay]:
        """Return the probations of champions that are on one now, by model; of one model or all."""

    def broken(self, model: str | None = None) -> Sequence[Observation]:
        """Return the first observation that broke the rule of each champion that must still go; of one model or all.

        None if the champion was moved since, has no version before it, or its move back was refused by the registry.
        """

    def forget_observations(self, *, older_than_days: float, most: int) -> int:
        """Delete those received longer ago, and of each version all but the newest ``most``; return how many."""


class ModelRecord(Promotions, Observations, Protocol):
    """All that is recorded about models."""
