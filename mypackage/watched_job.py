"""The part of a job that showing its progress needs."""

from collections.abc import Iterator
from typing import Any, Protocol


class WatchedJob(Protocol):
    """What is shown of a job, and how to wait for its next change."""

    @property
    def record(self) -> dict[str, Any]: ...
    @property
    def has_ended(self) -> bool: ...
    def watch(self, timeout: float | None = ..., *, at_least_every: float = ...) -> Iterator[dict[str, Any]]: ...
