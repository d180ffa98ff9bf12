"""A handle on one job: its record, its log, and waiting for its end."""

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from json import dumps
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from ..progress import wait_and_show
from .errors import Refused, WaitTimeout
from .http import WAIT_PATIENCE_SECONDS, Call, Http
from .log import LogLine, follow_log, follow_only, read_log

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_WAIT_SECONDS = 60.0  # the longest that the API accepts


class JobHandle:
    """A job of the service, as it was when last read. Created by Client."""

    def __init__(self, http: Http, record: dict[str, Any], *, etag: str | None = None) -> None:
        self._http = http
        self._record = record
        self._etag = etag

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self._record["id"])

    @property
    def state(self) -> str:
        """The job's state: queued, starting, running, retry_wait, cancelling, succeeded, failed or cancelled."""
        return str(self._record["state"])

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended."""
        return self.state in ENDED

    @property
    def record(self) -> dict[str, Any]:
        """Everything that the API says about the job (GET /jobs/<id>)."""
        return self._record

    @property
    def run_url(self) -> str | None:
        """The page of its MLflow run; None before there is one."""
        url = self._record["links"]["mlflow"]
        return None if url is None else str(url)

    @property
    def attempt_count(self) -> int:
        """How many attempts have begun."""
        return len(self._record["attempts"])

    def attempt_has_ended(self, number: int) -> bool:
        """Return whether this attempt, counted from 1, has ended."""
        return self.has_ended or self._record["attempts"][number - 1]["ended_at"] is not None

    def refresh(self) -> "JobHandle":
        """Read the job again."""
        self._read(wait_seconds=0, patience_seconds=None)
        return self

    def wait(self, timeout: float | None = None, progress: bool = True) -> str:
        """Wait for the job's end and return its state; raise WaitTimeout after ``timeout`` seconds.

        With ``progress``, every change of state is printed and, in a notebook or at a terminal, a line below shows the
        current progress. If the service restarts, it waits for it.
        """
        if progress:
            wait_and_show(self, timeout)
        else:
            for _ in self.watch(timeout):
                continue
        return self.state

    def watch(
        self, timeout: float | None = None, *, at_least_every: float = LONGEST_WAIT_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """Yield the job's record now and whenever it may have changed, the last time when it has ended.

        Raises WaitTimeout after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self.refresh()
        yield self._record
        while not self.has_ended:
            left = LONGEST_WAIT_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"Job {self.id} is {self.state} after {timeout:g} s; it goes on.")
            self.await_change(min(left, at_least_every))
            yield self._record

    def await_change(self, seconds: float = LONGEST_WAIT_SECONDS) -> None:
        """Return after that many seconds, or as soon as the job has changed."""
        until, before = time.monotonic() + seconds, self._record
        pause = self._read(wait_seconds=seconds, patience_seconds=WAIT_PATIENCE_SECONDS)
        left = until - time.monotonic()
        if left > 0 and without_place(self._record) == without_place(before):
            time.sleep(min(pause, left))  # too many clients are waiting at the service, so it answered at once

    def logs(self, follow: bool = False, attempt: int | None = None) -> Iterator[str]:
        """Yield the log's lines, each with its line end: those of the last attempt, or of the one asked for.

        With ``follow``, they come as they are written, with those of later attempts, until the job has ended (if
        one attempt is asked for, until that has). It begins with the last attempt that this handle knows of. Lines are
        as the training wrote them: they may contain control sequences for a terminal.
        """
        return (line.text for line in self.log_lines(follow=follow, attempt=attempt))

    def log_lines(self, *, follow: bool = False, attempt: int | None = None) -> Iterator[LogLine]:
        """Yield the same as `logs`, each line with the number of its attempt."""
        if not follow:
            return read_log(self._http, self.id, attempt=attempt)
        if attempt is None:
            return follow_log(self._http, self, attempt=max(1, self.attempt_count))
        return follow_only(self._http, self, attempt=attempt)

    def cancel(self, force: bool = False) -> "JobHandle":
        """Cancel the job; ``force`` skips the grace period of a running one. A cancelled job stays as it is."""
        try:
            call = Call("POST", f"{job_path(self.id)}/cancel", body=dumps({"force": force}))
            self._record, _ = self._http.read_object(call)
        except Refused as error:
            # If the answer to a cancel is lost, it is repeated, and then too late for a job that it cancelled at once.
            if error.code != "JOB_ENDED" or self.refresh().state != "cancelled":
                raise
        return self

    def set_priority(self, priority: int) -> "JobHandle":
        """Change the priority, 0 to 9, of a job that waits; raise Refused (JOB_NOT_WAITING) if it has begun."""
        call = Call("POST", f"{job_path(self.id)}/priority", body=dumps({"priority": priority}))
        self._record, _ = self._http.read_object(call)
        return self

    def retry(self, pin: bool = True, git_uri: str | None = None, dataset_repo: str | None = None) -> "JobHandle":
        """Repeat the job, which must have ended, as a new one; ``pin`` trains the same commit again.

        If the job came with a token, send the address with the token again: tokens are deleted when a job ends.
        """
        addresses = {"git_uri": git_uri, "dataset_repo": dataset_repo}
        body = {"pin": pin, **{name: value for name, value in addresses.items() if value is not None}}
        return submit(self._http, f"{job_path(self.id)}/retry", body)

    def _read(self, *, wait_seconds: float, patience_seconds: float | None) -> float:
        """Read the job, and return after how many seconds to read it again."""
        response = self._http.send(
            Call(
                "GET",
                job_path(self.id),
                {"wait": round(wait_seconds, 3)} if wait_seconds else {},
                headers={"If-None-Match": self._etag} if self._etag else {},
                wait_seconds=wait_seconds,
                patience_seconds=patience_seconds,
            )
        )
        if response.status_code != HTTPStatus.NOT_MODIFIED:
            self._record, self._etag = self._http.object_of(response), response.headers.get("ETag")
        return float(response.headers.get("Retry-After", 1))


def submit(http: Http, path: str, body: Mapping[str, Any]) -> JobHandle:
    """Create one job, however often the request must be sent."""
    call = Call("POST", path, body=dumps(body, allow_nan=False), headers={"Idempotency-Key": str(uuid4())})
    record, response = http.read_object(call)
    return JobHandle(http, record, etag=response.headers.get("ETag"))


def job_path(job_id: str) -> str:
    """Return the job's path in the API."""
    return f"/jobs/{quote(job_id, safe='')}"


def without_place(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without its queue position, because a long poll does not wait for changes of that."""
    return {name: value for name, value in record.items() if name != "queue"}
