"""Waiting and running jobs, reduced to what limits depend on. Pure, no I/O."""

from dataclasses import dataclass
from datetime import datetime

from shared.requests.fields import KNOWN_TO_EARLIER_WORKERS, unknown_among
from shared.scheduling.hosts import Host

# Earlier workers, which do not say which fields they know, look only at a job's labels. No host can have this label,
# and no request can ask for it; later workers are judged by what they know.
NEWER_WORKER = "+newer-worker"


@dataclass(frozen=True)
class Waiting:
    """A queued job and what it asks for."""

    id: str
    queue: str
    key: str
    gpus: int
    priority: int
    created_at: datetime  # a job that is retried keeps its position
    wanted_host: str | None = None  # None: any
    wanted_labels: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()  # the fields that its request sets

    @property
    def order(self) -> tuple[int, datetime, str]:
        """The sort key: smaller goes first, by priority, then age."""
        return -self.priority, self.created_at, self.id

    def goes_before(self, other: "Waiting") -> bool:
        """Return whether it starts before another job of its key: wherever the other could start, it could too."""
        same = (self.key, self.queue) == (other.key, other.queue)
        as_free = self.wanted_host in (None, other.wanted_host) and self.wanted_labels in ((), other.wanted_labels)
        return same and as_free and self.gpus <= other.gpus and self.order < other.order

    def may_run_on(self, host: Host) -> bool:
        """Return whether the host is what the job asks for, whether free or not."""
        return self.is_meant_for(host) and self.gpus <= len(host.gpus)

    def is_meant_for(self, host: Host) -> bool:
        """Return the same, considering only the host's name, its labels, and what its worker knows."""
        is_named = self.wanted_host in (None, host.name)
        return is_named and not self.missing_labels(host) and not self.unknown_to(host)

    def unknown_to(self, host: Host) -> list[str]:
        """Return the fields of its request that the host's worker does not know, and would therefore ignore."""
        return unknown_among(self.asks, host.knows if host.knows is not None else KNOWN_TO_EARLIER_WORKERS)

    @property
    def host_labels(self) -> tuple[str, ...]:
        """The labels that its request asks for."""
        return tuple(label for label in self.wanted_labels if label != NEWER_WORKER)

    def missing_labels(self, host: Host) -> list[str]:
        """Return the labels that the host lacks."""
        return [label for label in self.host_labels if label not in host.labels]


@dataclass(frozen=True)
class Running:
    """A supervised job and what it uses."""

    id: str
    key: str
    host: str
    gpu_ids: tuple[str, ...] = ()
