"""What a look at data is given and returns, whatever kind of place the data is in."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from shared.addresses.git_uri import Credentials
from shared.errors import AttemptTimeout, Code
from shared.settings import Settings
from worker.interruption import LOOK_SECONDS, SideWork
from worker.source.checkout import GitSource
from worker.source.deadline import Deadline

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a look may use. All of it ends with the deadline, or when the worker stops."""

    settings: Settings
    source: GitSource
    deadline: Deadline
    credentials: Credentials | None = field(default=None, repr=False)
    account: str = field(default="", repr=False)  # the connection string of an account in Azure that the address is in


@dataclass(frozen=True)
class Revision:
    """What the data was: the same ``text`` is the same data. The facts are for people."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Origin(Protocol):
    """A kind of place; each is a module."""

    def takes(self, address: str, settings: Settings, /) -> bool:
        """Return whether the address is one of its own; the first origin that says so is asked."""

    def look(self, address: str, asking: Asking, /) -> Revision:
        """Return what the data is now, or raise AttemptError."""


def aside(work: Callable[[threading.Event], T], deadline: Deadline, *, what: str) -> T:
    """Do what cannot be interrupted in a thread, which is left behind when the time is up; the event tells it."""
    over = threading.Event()
    side = SideWork(lambda: work(over), name="look-at-data")
    side.start()
    try:
        while not side.wait(LOOK_SECONDS):
            if not deadline.check():
                message = f"Looking at {what} took longer than {deadline.timeout_seconds:g} s."
                raise AttemptTimeout(Code.GIT_TIMEOUT, message)
    finally:
        over.set()
    return side.result()
