"""Tells the store who is acting, so that it records that in the transaction of the act itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from shared.access.callers import Caller


@dataclass(frozen=True)
class Act:
    """Who does what, from where."""

    caller: Caller
    action: str  # the operation's id: cancelJob
    address: str  # of the peer; empty for workers
    request_id: str


_current: ContextVar[Act | None] = ContextVar("act", default=None)


@contextmanager
def acting(act: Act) -> Iterator[None]:
    """Have all that the store changes meanwhile recorded as this act."""
    token = _current.set(act)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """Have what is changed recorded as this caller's, who has just shown who it is; nothing if nobody asked."""
    asked = _current.get()
    if asked is None:
        yield
        return
    with acting(replace(asked, caller=caller)):
        yield


def act_of_service(caller: Caller, action: str) -> Act:
    """Return what the service does by itself, as a trigger or as its gate."""
    asked = _current.get()
    return Act(caller, action, "", asked.request_id if asked else "")


def current_act() -> Act | None:
    """Return who is acting; None where nobody asked: a worker's own work."""
    return _current.get()
