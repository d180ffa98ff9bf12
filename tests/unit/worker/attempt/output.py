"""The output of one attempt, for tests of what is kept of it."""

from pathlib import Path

from shared.jobs.records import Claim
from shared.secrets.redactor import Redactor
from tests.fakes.runner import FakeHost, FakeRunner, Script
from tests.fakes.store import MemoryStore
from tests.support.jobs import running
from worker.attempt.log_keeper import LogKeeper
from worker.attempt_name import attempt_name
from worker.runners.seam import AttemptSpec, Handle, LogBounds

SECRET = "ghp_s3cret"
MARK = b"\n[the log was cut here: it is longer than LOG_LIMIT_BYTES=%d]\n"


class Output:
    """One attempt's output, and what is kept of it."""

    def __init__(self, *, limit_bytes: int = 10**9) -> None:
        self.store = MemoryStore()
        self.claim = running(self.store)
        self.bounds = LogBounds(kept_bytes=limit_bytes, flood_bytes=4 * limit_bytes)
        self.runner = FakeRunner(Script(hangs=True), host=FakeHost())
        spec = AttemptSpec(self.claim.job.id, 1, None, "true", Path())
        self.handle: Handle = self.runner.start_or_attach(spec)

    def keeper(self) -> LogKeeper:
        """A keeper that begins where the store says, as the one of the next worker does."""
        claim = Claim(self.store.get(self.claim.job.id), self.claim.token)
        redactor = Redactor([SECRET])
        return LogKeeper(claim, store=self.store, runner=self.runner, redactor=redactor, bounds=self.bounds)

    def print(self, text: bytes) -> None:
        """Let the training print."""
        self.runner.print(attempt_name(self.claim.job), text)

    @property
    def stored_offset(self) -> int:
        """Up to where the store has the output."""
        return self.store.get(self.claim.job.id).attempt.log_source_offset

    @property
    def kept(self) -> bytes:
        """The log in the store."""
        return self.store.read_log(self.claim.job.id, attempt=1, offset=0, limit=10**9).data
