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
LONGEST_WAIT_SECONDS = 60.0  # that the API takes


class JobHandle:
    """A job of the service, as it was when last asked for. Made by Client."""

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
        """Where it is in its life: queued, starting, running, retry_wait, cancelling, succeeded, failed, cancelled."""
        return str(self._record["state"])

    @property
    def has_ended(self) -> bool:
        """Whether the state is one that nothing follows."""
        return self.state in ENDED

    @property
    def record(self) -> dict[str, Any]:
        """All that the API says of the job (GET /jobs/<id>)."""
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
        """Whether this attempt, counted from 1, has ended."""
        return self.has_ended or self._record["attempts"][number - 1]["ended_at"] is not None

    def refresh(self) -> "JobHandle":
        """Ask for the job anew."""
        self._read(wait_seconds=0, patience_seconds=None)
        return self

    def wait(self, timeout: float | None = None, progress: bool = True) -> str:
        """Wait for the job's end and return its state; WaitTimeout after ``timeout`` seconds.

        With ``progress`` every change of state is printed and, in a notebook or at a terminal, a line under them says
        how it goes now. A restart of the service is waited for.
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
        """Give the job's record now and whenever it may have changed, the last time when it has ended.

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
        """Return after so many seconds, or as soon as the job has changed."""
        until, before = time.monotonic() + seconds, self._record
        pause = self._read(wait_seconds=seconds, patience_seconds=WAIT_PATIENCE_SECONDS)
        left = until - time.monotonic()
        if left > 0 and without_place(self._record) == without_place(before):
            time.sleep(min(pause, left))  # too many wait at the service already, so it answered at once

    def logs(self, follow: bool = False, attempt: int | None = None) -> Iterator[str]:
        """Give the log's lines, each with its line end: those of the last attempt, or of the one asked for.

        With ``follow`` they come as they are written, and those of later attempts too, until the job has ended (until
        the attempt has, where one is asked for). It begins with the last attempt that this handle knows of. Lines are
        as the training wrote them: what they hold may control a terminal that they are printed on.
        """
        return (line.text for line in self.log_lines(follow=follow, attempt=attempt))

    def log_lines(self, *, follow: bool = False, attempt: int | None = None) -> Iterator[LogLine]:
        """Give what `logs` gives, each line with the number of its attempt."""
        if not follow:
            return read_log(self._http, self.id, attempt=attempt)
        if attempt is None:
            return follow_log(self._http, self, attempt=max(1, self.attempt_count))
        return follow_only(self._http, self, attempt=attempt)

    def cancel(self, force: bool = False) -> "JobHandle":
        """Cancel the job; ``force`` skips the grace of one that trains. One that was cancelled is left as it is."""
        try:
            call = Call("POST", f"{job_path(self.id)}/cancel", body=dumps({"force": force}))
            self._record, _ = self._http.read_object(call)
        except Refused as error:
            # A cancel whose answer was lost is repeated, and is then too late for a job that it cancelled at once.
            if error.code != "JOB_ENDED" or self.refresh().state != "cancelled":
                raise
        return self

    def retry(self, pin: bool = True, git_uri: str | None = None, dataset_repo: str | None = None) -> "JobHandle":
        """Repeat the job, which must have ended, as a new one; ``pin`` trains the same commit again.

        A job that came with a token needs its address with the token again: they are deleted when a job ends.
        """
        addresses = {"git_uri": git_uri, "dataset_repo": dataset_repo}
        body = {"pin": pin, **{name: value for name, value in addresses.items() if value is not None}}
        return submit(self._http, f"{job_path(self.id)}/retry", body)

    def _read(self, *, wait_seconds: float, patience_seconds: float | None) -> float:
        """Ask for the job, and return the seconds after which it is worth asking again."""
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
    """Make a job, once however often the request must be sent."""
    call = Call("POST", path, body=dumps(body, allow_nan=False), headers={"Idempotency-Key": str(uuid4())})
    record, response = http.read_object(call)
    return JobHandle(http, record, etag=response.headers.get("ETag"))


def job_path(job_id: str) -> str:
    """Where the API has the job."""
    return f"/jobs/{quote(job_id, safe='')}"


def without_place(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record without its place in the queue, for whose changes the service lets nobody wait."""
    return {name: value for name, value in record.items() if name != "queue"}
