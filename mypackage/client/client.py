"""The service from Python: ask for a retraining, wait for it, read its log. Needs requests only, and no MLflow.

from mypackage.client import Client

job = Client().retrain(experiment_name="iris", git_uri="https://github.com/user/iris.git")
print(job.wait())
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from json import dumps
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

from ..progress import wait_and_show
from .errors import (
    ClientError,
    NotAuthenticated,
    Refused,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from .hosts import await_drained, drain, list_workers, undrain
from .http import WAIT_PATIENCE_SECONDS, Call, Http
from .log import LogLine, follow_log, follow_only, read_log

__all__ = [
    "Client",
    "ClientError",
    "JobHandle",
    "NotAuthenticated",
    "Refused",
    "ServerUnreachable",
    "UnexpectedAnswer",
    "WaitTimeout",
]

DEFAULT_URL = "http://127.0.0.1:5005"
ENDED = frozenset({"succeeded", "failed", "cancelled"})
LONGEST_WAIT_SECONDS = 60.0  # that the API takes
LARGEST_PAGE = 200


class Client:
    """The service at one address. ``url`` and ``token`` come from RETRAIN_URL and RETRAIN_TOKEN where not given."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        url = url or os.environ.get("RETRAIN_URL") or DEFAULT_URL
        self._http = Http(url, token or os.environ.get("RETRAIN_TOKEN"))

    def __repr__(self) -> str:
        return f"Client({self._http.url!r})"

    def retrain(self, /, **request: Any) -> "JobHandle":
        """Ask for a retraining, with the fields of POST /retrain; returns as soon as the job is recorded.

        The request carries an Idempotency-Key: it is repeated while nobody answers, and still makes one job.
        """
        return submit(self._http, "/retrain", request)

    def job(self, job_id: str) -> "JobHandle":
        """Return the job; Refused, with the code JOB_NOT_FOUND, where there is none."""
        record, response = self._http.read_object(Call("GET", job_path(job_id)))
        return JobHandle(self._http, record, etag=response.headers.get("ETag"))

    def jobs(
        self,
        *,
        state: str | Iterable[str] = (),
        experiment: str | None = None,
        model: str | None = None,
        label: str | None = None,
        created_after: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator["JobHandle"]:
        """Give the jobs that match all filters, newest first, at most ``limit``; pages are read as they are needed.

        ``label`` is a label's name, or name=value. These records come without their transitions.
        """
        query = {
            "state": state if isinstance(state, str) else ",".join(state),
            "experiment": experiment,
            "model": model,
            "label": label,
            "created_after": _as_time(created_after),
        }
        return self._pages({name: value for name, value in query.items() if value}, limit)

    def workers(self) -> list[dict[str, Any]]:
        """Return what the API says of each host's worker (GET /workers), by the hosts' names."""
        return list_workers(self._http)

    def drain(self, host: str, reason: str = "") -> dict[str, Any]:
        """Let a host take nothing new, such as before its maintenance; what runs there goes on.

        Returns what the API says of its worker. Refused, with the code HOST_NOT_FOUND, where there is none.
        """
        return drain(self._http, host, reason)

    def undrain(self, host: str) -> dict[str, Any]:
        """Let a host take new attempts again."""
        return undrain(self._http, host)

    def await_drained(self, host: str, timeout: float | None = None) -> dict[str, Any]:
        """Return, as drain does, when nothing runs on a drained host any more; WaitTimeout after ``timeout``."""
        return await_drained(self._http, host, timeout)

    def test_alerts(self, to: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Send a test message to these alert channels, by default to those of a job that names none.

        Gives for each its ``channel``, the ``outcome`` (sent, refused, not_now, no_worker, no_answer), and the
        ``cause``.
        """
        body = {} if to is None else {"to": list(to)}
        answer, _ = self._http.read_object(Call("POST", "/alerts/test", body=dumps(body)))
        return list(answer["results"])

    def roll_back(self, model_name: str, version: int | str, reason: str) -> dict[str, Any]:
        """Make this version of a model the champion, and record why; the old champion gets the alias previous."""
        body = dumps({"version": version, "reason": reason})
        answer, _ = self._http.read_object(Call("POST", f"/models/{quote(model_name, safe='')}/champion", body=body))
        return answer

    def _pages(self, query: Mapping[str, Any], limit: int | None) -> Iterator["JobHandle"]:
        cursor: dict[str, str] = {}
        while limit is None or limit > 0:
            size = LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE)
            page, _ = self._http.read_object(Call("GET", "/jobs", {**query, "limit": size, **cursor}))
            for record in page["jobs"]:
                yield JobHandle(self._http, record)
            if not page["next"]:
                return
            limit = None if limit is None else limit - size
            # The cursor alone is taken over: the address is ours, also where a proxy gives the service another one.
            cursor = {"cursor": parse_qs(urlsplit(page["next"]).query)["cursor"][0]}


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


def _as_time(value: datetime | str | None) -> str | None:
    return value.astimezone().isoformat() if isinstance(value, datetime) else value
