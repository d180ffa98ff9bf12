"""A JobQueue that remembers what was sent; ``down`` makes it fail as an unreachable Redis does."""

from collections.abc import Sequence

from shared.errors import QueueUnavailable
from shared.jobs.model import Job
from shared.queue import Message


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

    def send_all(self, messages: Sequence[Message]) -> None:
        self._check()
        self.sent += [job.id for job, _host in messages]
        self.hosts += [host for _job, host in messages]

    def ping(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.down:
            raise QueueUnavailable("Redis does not answer: the test took it down")
