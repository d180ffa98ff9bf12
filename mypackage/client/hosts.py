"""The client's calls about hosts: list their workers, and drain one before its maintenance."""

import time
from json import dumps
from typing import Any
from urllib.parse import quote

from .errors import ClientError, WaitTimeout
from .http import WAIT_PATIENCE_SECONDS, Call, Http

LOOK_SECONDS = 2.0


def list_workers(http: Http) -> list[dict[str, Any]]:
    """Return what the API says about each host's worker; wait a little if the service restarts."""
    answer, _ = http.read_object(Call("GET", "/workers"))
    workers: list[dict[str, Any]] = answer["workers"]
    return workers


def drain(http: Http, host: str, reason: str) -> dict[str, Any]:
    """Let a host take nothing new."""
    answer, _ = http.read_object(Call("POST", _path(host), body=dumps({"reason": reason})))
    return answer


def undrain(http: Http, host: str) -> dict[str, Any]:
    """Let a host take new attempts again."""
    answer, _ = http.read_object(Call("DELETE", _path(host)))
    return answer


def attempts_run(number: int) -> str:
    """Return how many attempts run, as a sentence has it."""
    return "1 attempt runs" if number == 1 else f"{number} attempts run"


def await_drained(http: Http, host: str, timeout: float | None) -> dict[str, Any]:
    """Return what the API says about a drained host's worker once nothing runs there."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while (worker := _drained_worker(http, host))["used_slots"]:
        left = LOOK_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(
                f"{attempts_run(worker['used_slots'])} on host {host} after {timeout:g} s; it stays drained."
            )
        time.sleep(min(LOOK_SECONDS, left))
    return worker


def _drained_worker(http: Http, host: str) -> dict[str, Any]:
    answer, _ = http.read_object(Call("GET", "/workers", patience_seconds=WAIT_PATIENCE_SECONDS))
    worker: dict[str, Any] | None = next((each for each in answer["workers"] if each["host"] == host), None)
    if worker is None or worker["drain"] is None:
        raise ClientError(f"Host {host} is not drained (any more), so something may always run there.")
    return worker


def _path(host: str) -> str:
    return f"/workers/{quote(host, safe='')}/drain"
