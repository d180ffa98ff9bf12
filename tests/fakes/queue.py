"""A JobQueue that remembers what was sent; ``down`` makes it fail as an unreachable Redis does."""

from shared.errors import QueueUnavailable
from shared.jobs.model import Job


class RecordingQueue:
    """The in-memory twin of CeleryQueue."""

    def __init__(self) -> None:
        self.down = False
        self.sent: list[str] = []
        self.hosts: list[str | None] = []  # that those were sent to

    def send(self, job: Job, *, host: str | None = None) -> None:
        self._check()
        self.sent.append(job.id)
        self.hosts.append(host)

    def ping(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.down:
            raise QueueUnavailable("Redis does not answer: the test took it down")
