"""A job as those who show its progress see it."""

from collections.abc import Iterator
from typing import Any, Protocol


class WatchedJob(Protocol):
    """What is shown of a job, and how to hear that it has changed."""

    @property
    def record(self) -> dict[str, Any]: ...
    @property
    def has_ended(self) -> bool: ...
    def watch(self, timeout: float | None = ..., *, at_least_every: float = ...) -> Iterator[dict[str, Any]]: ...
