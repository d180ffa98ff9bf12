"""The part of a job that showing its progress needs, and what there is to say of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from .plain_text import plain, plain_line


class WatchedJob(Protocol):
    """What is shown of a job, and how to wait for its next change."""

    @property
    def record(self) -> dict[str, Any]: ...
    @property
    def has_ended(self) -> bool: ...
    def watch(self, timeout: float | None = ..., *, at_least_every: float = ...) -> Iterator[dict[str, Any]]: ...


def what_else(record: dict[str, Any]) -> list[str]:
    """Return the attempt's number, the queue position and why the job waits, if there are any."""
    attempts, queue = len(record["attempts"]), record["queue"]
    found = [f"attempt {attempts}"] if attempts else []
    if queue["position"] is not None:
        found.append(f"place {queue['position']} in the queue {queue['name']}")
    return [*found, queue["message"]] if queue["message"] else found


def told(change: Mapping[str, Any]) -> str:
    """Return a line about a change of state."""
    return plain(f"{change['at']}  {change['to']:<10}  {plain_line(change['reason'])}")
