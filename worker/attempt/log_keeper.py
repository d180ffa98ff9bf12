"""Copies an attempt's output to the store: whole lines, without secrets, up to a limit, none lost or repeated."""

import logging

from shared.errors import AttemptError, Code, StoreUnavailable
from shared.jobs.records import Claim
from shared.jobs.store import Claims
from shared.secrets.redactor import Redactor
from worker.attempt.progress_bars import as_last_seen
from worker.runners.seam import Handle, LogBounds, Runner

logger = logging.getLogger(__name__)

READ_BYTES = 8 * 1024 * 1024  # at most so much is read at once, or a little more
LONGEST_LINE_BYTES = 256 * 1024  # a longer one is cut into pieces
LONGEST_SECRET_BYTES = 16 * 1024


class LogKeeper:
    """Stores text together with the offset of its end, in one transaction: the next worker reads on from there.

    Text that was read but not stored yet is carried in memory, because going back in a log can mean reading it again
    from its beginning. After the mark at the limit, nothing more is read: no runner makes an attempt wait for that.
    The mark is also set where the runner itself stopped keeping output.
    """

    def __init__(self, claim: Claim, *, store: Claims, runner: Runner, redactor: Redactor, bounds: LogBounds) -> None:
        self._claim = claim
        self._store = store
        self._runner = runner
        self._redactor = redactor
        self._bounds = bounds
        self._source_offset = claim.attempt.log_source_offset
        self._size = claim.attempt.log_size
        self._carry = bytearray()  # follows the offset
        self._is_sure = True
        self._is_cut = False
        self._unkept = 0

    def pump(self, handle: Handle) -> None:
        """Copy the complete lines that are there; what cannot be read or stored now is copied later."""
        try:
            self._unkept = self._runner.unkept_bytes(handle)
            if not self._is_full:
                self._take(handle, ended=False)
        except (AttemptError, StoreUnavailable) as error:
            self._put_off(error)

    def drain(self, handle: Handle) -> bool:
        """Copy the rest of an ended attempt's output; return False if that must be tried again."""
        try:
            self._unkept = self._runner.unkept_bytes(handle)
            while not self._is_full and self._take(handle, ended=True):
                pass
        except (AttemptError, StoreUnavailable) as error:
            self._put_off(error)
            return isinstance(error, AttemptError) and error.code is not Code.DOCKER_UNAVAILABLE  # gone for good
        return True

    def end_with(self, text: str) -> None:
        """Add a line of the service's own after the output, unless an earlier worker did, or the log was cut."""
        line, job_id, number = self._redactor.data(f"{text}\n".encode()), self._claim.job.id, self._claim.attempt.number
        if self._is_full:
            return
        try:
            length = len(line) + 1
            tail = self._store.read_log(job_id, attempt=number, offset=-length, limit=length).data
            if not tail.endswith(line):
                gap = b"" if not tail or tail.endswith(b"\n") else b"\n"
                self._store.append_log(self._claim, gap + line, source_offset=self._source_offset)
        except StoreUnavailable as error:  # the decision itself is recorded
            self._put_off(error)

    @property
    def printed_bytes(self) -> int:
        """At least how much was printed so far."""
        return self._source_offset + len(self._carry) + self._unkept

    @property
    def is_flood(self) -> bool:
        """Whether the attempt has printed more than a host should have to store."""
        return self.printed_bytes > self._bounds.flood_bytes

    @property
    def _is_full(self) -> bool:
        return self._is_cut or self._size > self._bounds.kept_bytes  # by the mark

    def _put_off(self, error: AttemptError | StoreUnavailable) -> None:
        logger.warning("log not taken", extra={"cause": error.message})

    def _take(self, handle: Handle, *, ended: bool) -> bool:
        if not self._is_sure:
            self._look_up()
        is_all = self._read(handle)
        ends_here = is_all and self._unkept > 0  # asked before: what the runner kept is complete
        raw = bytes(self._carry)
        taken = raw if is_all and (ended or ends_here) else self._whole_lines(raw)
        if not taken and not (ends_here and self._lacks_mark()):
            self._is_cut = ends_here
            return False
        kept = self._within_limit(as_last_seen(self._redactor.data(taken)), ends_here=ends_here)
        offset = self._source_offset + len(taken)
        self._is_sure = False
        self._store.append_log(self._claim, kept, source_offset=offset)
        self._is_sure = True
        self._went_on(offset, size=self._size + len(kept))
        self._is_cut = ends_here
        if self._is_full:
            self._carry.clear()
            self._runner.close_log(handle)
        return True

    def _went_on(self, offset: int, *, size: int) -> None:
        del self._carry[: offset - self._source_offset]
        self._source_offset, self._size = offset, size

    def _look_up(self) -> None:
        """Look up how far the store got: if a call broke off, the text may have been stored all the same."""
        attempt = self._store.get(self._claim.job.id).attempt
        self._went_on(attempt.log_source_offset, size=attempt.log_size)
        self._is_sure = True

    def _read(self, handle: Handle) -> bool:
        """Read more into memory; return whether that was all."""
        while len(self._carry) < READ_BYTES:
            part = self._runner.read_log(handle, self._source_offset + len(self._carry))
            if not part:
                return True
            self._carry += part
        return False

    def _whole_lines(self, raw: bytes) -> bytes:
        """Return the text up to the last line end, so that no secret is cut; in a progress bar, also a carriage return.

        A carriage return at the very end does not count: a line feed may follow, and the two are one line end.
        """
        end = max(raw.rfind(b"\n"), raw.rfind(b"\r", 0, -1)) + 1
        if not end and len(raw) >= LONGEST_LINE_BYTES:
            end = self._end_between_secrets(raw)
        return raw[:end]

    def _end_between_secrets(self, raw: bytes) -> int:
        """Return where to cut a line: not inside a secret, and before what may be the beginning of one."""
        clean = self._redactor.data(raw)
        for end in range(len(raw) - LONGEST_SECRET_BYTES, 0, -LONGEST_SECRET_BYTES):
            if self._redactor.data(raw[:end]) + self._redactor.data(raw[end:]) == clean:
                return end
        return len(raw)

    def _within_limit(self, text: bytes, *, ends_here: bool) -> bytes:
        room = self._bounds.kept_bytes - self._size
        return text if len(text) <= room and not ends_here else text[:room] + self._mark

    @property
    def _mark(self) -> bytes:
        return b"\n[the log was cut here: it is longer than LOG_LIMIT_BYTES=%d]\n" % self._bounds.kept_bytes

    def _lacks_mark(self) -> bool:
        """Return whether no earlier worker set the mark: if the runner cut the log, its size does not tell."""
        length, attempt = len(self._mark), self._claim.attempt.number
        tail = self._store.read_log(self._claim.job.id, attempt=attempt, offset=-length, limit=length)
        return tail.data != self._mark
