"""A machine of the simulation: what stays on it when its worker dies, and what can go wrong with it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import Code, InfrastructureError, StoreUnavailable
from shared.scheduling.hosts import Machine
from shared.settings import Settings
from tests.fakes.runner import FakeAttempt, FakeHost
from tests.fakes.source import FakeSource
from worker.interruption import NEVER, Interruption
from worker.source.checkout import Checkout, SourceRequest


@dataclass
class Faults:
    """What is broken at one host, and what will break at the next call."""

    is_cut_off: bool = False  # from store and queue
    engine_is_down: bool = False
    disk_is_full: bool = False
    lost_answers: dict[str, int] = field(default_factory=dict)  # which next one, of store, engine or tracking

    def lose_nth_answer(self, name: str, nth: int) -> None:
        """Let the answer to a call that got through be lost."""
        self.lost_answers[name] = nth

    def lose_answer(self, name: str) -> None:
        """Break off after a call that got through, if that is due."""
        if name not in self.lost_answers:
            return
        self.lost_answers[name] -= 1
        if self.lost_answers[name]:
            return
        del self.lost_answers[name]
        if name == "store":
            raise StoreUnavailable("The connection broke before the answer.")
        code = Code.DOCKER_UNAVAILABLE if name == "engine" else Code.TRACKING_UNAVAILABLE
        raise InfrastructureError(code, "The connection broke before the answer.")


@dataclass
class SimulatedHost:
    """One machine: its containers and folders outlive every worker process."""

    settings: Settings
    project: Path
    containers: FakeHost
    machine: Machine | None = None  # where another one may ask for its name
    folders: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)

    @property
    def name(self) -> str:
        """Its name in the records."""
        return self.settings.worker_host

    def live(self) -> dict[str, FakeAttempt]:
        """The containers that run: neither ended nor frozen."""
        return {name: each for name, each in self.containers.attempts.items() if is_live(each)}


def is_live(attempt: FakeAttempt) -> bool:
    """Whether it can do anything."""
    return attempt.exit is None and not attempt.is_paused


class HostSource(FakeSource):
    """A source whose folders are names: every checkout is the same project."""

    def __init__(self, host: SimulatedHost, point: Callable[[str], None]) -> None:
        super().__init__(host.project)
        self._host = host
        self._point = point

    def checkout(
        self, request: SourceRequest, *, name: str, timeout_seconds: float = 600, interruption: Interruption = NEVER
    ) -> Checkout:
        """Note the folder."""
        self._point("source.checkout")
        self._host.folders.add(name)
        sha = request.commit_sha or hashlib.sha1(request.ref.encode(), usedforsecurity=False).hexdigest()
        return Checkout(self._host.project, self._host.project, sha, None)

    def discard(self, name: str) -> None:
        """Forget the folder."""
        self._point("source.discard")
        self._host.folders.discard(name)

    def list_names(self) -> list[str]:
        """The folders that are here."""
        self._point("source.list_names")
        return sorted(self._host.folders)

    def remove_mirrors(self, unused_seconds: float) -> int:
        """There are none."""
        return 0


class HostDisk:
    """A host's disk, as full as the test says; there is nothing to delete."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    def is_low(self) -> bool:
        """Whether it is nearly full."""
        return self._host.faults.disk_is_full

    def clean(self) -> None:
        """Nothing is there that may go."""
