"""A worker's looks at one trigger, on fakes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from shared.addresses.git_uri import Credentials
from shared.errors import Code, InfrastructureError
from shared.jobs.model import Job
from shared.jobs.records import JobFilter
from shared.jobs.triggers import Due, Kind, NewTrigger, Occurrence, Outcome, Settled, Settlement, TriggerEvent
from shared.scheduling.limits import Limits
from shared.secrets.redactor import Redactor
from shared.secrets.vault import JobSecrets, Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.source import FakeSource
from tests.fakes.store import MemoryStore
from tests.fakes.tracking import FakeTracking
from tests.support.clocks import HeldClock
from worker.credentials.keys import Keyring
from worker.interruption import NEVER
from worker.triggers.looking import TriggerLooking
from worker.triggers.seam import Around

TOKEN = "ghp_s3cret"
SECRETS = JobSecrets(Credentials("https://git.example", "robot", TOKEN), None)
TEMPLATE = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git", "parameters": {"alpha": 0.5}}
PUSHES = {"git": {"repository": "git.example/iris"}}
HOURLY = {"every": 3600}
AWAY = InfrastructureError(Code.GIT_UNREACHABLE, f"git.example does not answer to {TOKEN}.")


class HookedStore(MemoryStore):
    """Calls a hook between a look and its settlement."""

    between: Any = staticmethod(lambda: None)

    def settle_trigger(self, due: Due, found: Settlement) -> list[Settled]:
        """Settle, after the hook."""
        self.between()
        return list(super().settle_trigger(due, found))


@dataclass
class Scene:
    """A worker's looks, on fakes and a clock that stands still."""

    folder: Path
    clock: HeldClock = field(default_factory=HeldClock)
    vault: Vault = field(default_factory=lambda: Vault(Fernet.generate_key()))
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = HookedStore(limits=Limits(per_key=100), clock=self.clock)
        self.source = FakeSource(self.folder)
        around = Around(
            settings=Settings.load(_env_file=None, data_dir=self.folder, **self.settings),
            store=self.store,
            source=self.source,
            tracking=FakeTracking(),
            interruption=NEVER,
        )
        self.looking = TriggerLooking(around, self.queue, Keyring(self.vault), Redactor())

    def add(self, when: dict[str, Any], template: dict[str, Any] = TEMPLATE, **policy: Any) -> None:
        kind = Kind(next(iter(when)))
        sealed = self.vault.seal(SECRETS)
        new = NewTrigger(name="auto", template=template, when=when, policy=policy, kind=kind, secret=sealed)
        self.store.create_trigger(new)
        assert self.look() == 1

    def look(self) -> int:
        """Look until nothing is due; return at how many."""
        count = 0
        while self.looking.once():
            count += 1
        return count

    def push(self, key: str = "push 1", **occurrence: Any) -> None:
        self.store.report("auto", Occurrence(key, self.clock.now, **occurrence))

    def jobs(self) -> list[Job]:
        return [*self.store.list(JobFilter(trigger="auto"), limit=100)][::-1]

    def events(self) -> list[TriggerEvent]:
        return [*self.store.trigger_events("auto", limit=1000)][::-1]

    def outcomes(self) -> list[Outcome]:
        return [event.outcome for event in self.events()]
