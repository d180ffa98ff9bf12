"""A JobQueue that remembers what was sent; ``down`` makes it fail as an unreachable Redis does."""

from shared.errors import QueueUnavailable
from shared.jobs import Job


class RecordingQueue:
    """The in-memory twin of CeleryQueue."""

    def __init__(self) -> None:
        self.down = False
        self.sent: list[str] = []

    def send(self, job: Job) -> None:
        self._check()
        self.sent.append(job.id)

    def ping(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.down:
            raise QueueUnavailable("Redis does not answer: the test took it down")
