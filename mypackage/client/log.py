"""Reads a job's log by byte offset: each line once, through restarts of the service, attempt after attempt."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from .http import WAIT_PATIENCE_SECONDS, Call, Http

PAUSE_SECONDS = 1.0


class FollowedJob(Protocol):
    """What following a log needs to know about the job."""

    @property
    def id(self) -> str: ...
    @property
    def has_ended(self) -> bool: ...
    @property
    def attempt_count(self) -> int: ...
    def attempt_has_ended(self, number: int) -> bool: ...
    def await_change(self, seconds: float = ...) -> None: ...


@dataclass(frozen=True)
class LogLine:
    """A line of an attempt's log, with its line end if it has one."""

    attempt: int
    text: str


@dataclass(frozen=True)
class LogPart:
    """The content of one answer."""

    attempt: int
    data: bytes
    next_offset: int
    size: int


def read_part(http: Http, job_id: str, *, attempt: int | None, offset: int) -> LogPart:
    """Read from the offset on; ``attempt`` None is the last one, and the number 0 means none yet."""
    query = {"offset": offset, **({"attempt": attempt} if attempt else {})}
    answer = http.send(Call("GET", f"/jobs/{job_id}/logs", query, patience_seconds=WAIT_PATIENCE_SECONDS))
    headers = answer.headers
    return LogPart(
        attempt=int(headers["X-Log-Attempt"]),
        data=answer.content,
        next_offset=int(headers["X-Log-Next-Offset"]),
        size=int(headers["X-Log-Size"]),
    )


def read_log(http: Http, job_id: str, *, attempt: int | None) -> Iterator[LogLine]:
    """Yield what there is of one attempt's log."""
    lines, offset = Lines(), 0
    while (part := read_part(http, job_id, attempt=attempt, offset=offset)).data:
        attempt, offset = part.attempt, part.next_offset  # another attempt may start meanwhile
        yield from lines.split(part)
    yield from lines.rest()


def follow_log(http: Http, job: FollowedJob, *, attempt: int) -> Iterator[LogLine]:
    """Yield the logs of this attempt and the later ones, as they are written, until the job has ended."""
    while has_begun(job, attempt):
        yield from follow_attempt(http, job, attempt)
        attempt += 1


def follow_only(http: Http, job: FollowedJob, *, attempt: int) -> Iterator[LogLine]:
    """Yield one attempt's log as it is written; the service refuses if the job ended without this attempt."""
    if has_begun(job, attempt):
        yield from follow_attempt(http, job, attempt)
    else:
        yield from read_log(http, job.id, attempt=attempt)


def has_begun(job: FollowedJob, attempt: int) -> bool:
    """Wait for the attempt; return False if the job ended without it."""
    while job.attempt_count < attempt:
        if job.has_ended:
            return False
        job.await_change()
    return True


def follow_attempt(http: Http, job: FollowedJob, attempt: int) -> Iterator[LogLine]:
    """Yield one attempt's log as it is written, until the attempt has ended."""
    lines, offset = Lines(), 0
    while True:
        is_over = job.attempt_has_ended(attempt)  # checked before the read: nothing is written after the end
        part = read_part(http, job.id, attempt=attempt, offset=offset)
        offset = part.next_offset
        yield from lines.split(part)
        if part.data:
            continue
        if is_over:
            break
        job.await_change(PAUSE_SECONDS)
    yield from lines.rest()


class Lines:
    """Joins the parts of one attempt's log into whole lines."""

    def __init__(self) -> None:
        self._attempt = 0
        self._begun = b""

    def split(self, part: LogPart) -> Iterator[LogLine]:
        """Yield the lines that this part completes."""
        self._attempt = part.attempt
        *whole, self._begun = (self._begun + part.data).split(b"\n")
        yield from (self._line(line + b"\n") for line in whole)

    def rest(self) -> Iterator[LogLine]:
        """Yield a last line without a line end."""
        if self._begun:
            yield self._line(self._begun)
            self._begun = b""

    def _line(self, data: bytes) -> LogLine:
        return LogLine(self._attempt, data.decode(errors="replace"))
