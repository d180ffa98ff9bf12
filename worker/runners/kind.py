"""A kind of runner, as the registry has it: how it is made, looked at, and what it needs of this machine."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from shared.settings import Settings
from worker.findings.finding import Finding
from worker.runners.seam import Runner


class TrainingNetwork(Protocol):
    """A network of this machine that only trainings are on."""

    @property
    def name(self) -> str:
        """What the engine calls it."""

    @property
    def bridge(self) -> str:
        """Its device on this machine, which firewall rules can be about."""

    def ensure(self, environment: Mapping[str, str]) -> str | None:
        """Make it where it is missing; return why it cannot be had, None when it is there."""

    def find_address(self, environment: Mapping[str, str]) -> str | None:
        """Return this machine's address on it; None where trainings reach loopback by another way."""

    def remove_unused(self, environment: Mapping[str, str]) -> None:
        """Remove it, unless a training is on it."""


class RunnerKind(Protocol):
    """A class with these as class or static methods. ``environment`` is the process's, with its .env."""

    def from_settings(self, settings: Settings, environment: Mapping[str, str]) -> Runner:
        """Make the runner of a worker. What runs trainings need not answer yet."""

    def check(self, settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
        """Look whether trainings can run here, for the doctor; every failure says what to do."""

    def secrets(self, settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
        """Yield what only this kind knows to be secret here. Settings and logins of `docker login` are known."""

    def find_version(self, environment: Mapping[str, str]) -> str | None:
        """Return the version of what runs trainings here; None where it does not answer."""

    def find_network(self, name: str = "") -> TrainingNetwork | None:
        """Return the network of that name, or the one that there is without; None where trainings have none."""
