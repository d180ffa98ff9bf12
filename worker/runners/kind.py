"""What the registry knows about a kind of runner: how to create and check it, and what it needs of this machine."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from shared.settings import Settings
from worker.findings.finding import Finding
from worker.runners.seam import Runner


class TrainingNetwork(Protocol):
    """A network on this machine that only trainings use."""

    @property
    def name(self) -> str:
        """Its name in the engine."""

    @property
    def bridge(self) -> str:
        """Its device on this machine, for firewall rules."""

    def ensure(self, environment: Mapping[str, str]) -> str | None:
        """Create it if missing; return why that is not possible, or None once it exists."""

    def find_address(self, environment: Mapping[str, str]) -> str | None:
        """Return this machine's address on it; None if trainings reach loopback in another way."""

    def remove_unused(self, environment: Mapping[str, str]) -> None:
        """Remove it, unless a training is on it."""


class RunnerKind(Protocol):
    """A class with these as class or static methods. ``environment`` is the process's, with its .env."""

    def from_settings(self, settings: Settings, environment: Mapping[str, str]) -> Runner:
        """Create a worker's runner. The engine need not answer yet."""

    def check(self, settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
        """Check for the doctor whether trainings can run here; every failure says what to do."""

    def secrets(self, settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
        """Yield the secrets that only this kind knows. Settings and `docker login` logins are known anyway."""

    def find_version(self, environment: Mapping[str, str]) -> str | None:
        """Return the version of what runs trainings here; None if it does not answer."""

    def find_network(self, name: str = "") -> TrainingNetwork | None:
        """Return the network of that name, or the default one; None if trainings have no network of their own."""
