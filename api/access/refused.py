"""Records in the audit which requests were refused and which failed, once they are answered.

Whoever is refused again and again does not fill the disk: of each caller, and of all who have not shown who they are,
so many a minute are recorded one by one, and the rest as a number.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from flask import Flask, Response, g, request

from api.access.authentication import SAFE_METHODS
from api.access.authorisation import act, current_caller
from shared.access.audit import Audit, NewEntry, Outcome
from shared.access.callers import CallerKind
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0
MOST_OF_CALLER = 60
MOST_OF_ADDRESS = 10  # of those who have not shown who they are
MOST_OF_NOBODY = 30  # from all addresses together
SUBJECTS = {
    "jobs": "job",
    "triggers": "trigger",
    "models": "model",
    "workers": "host",
    "tokens": "token",
    "promotions": "promotion",
}


@dataclass
class Window:
    """What was refused within a minute."""

    ends_at: float
    most: int
    first: NewEntry
    recorded: int = 0
    more: int = 0

    def summary(self) -> NewEntry:
        """Return the entry about what was not recorded one by one."""
        return replace(self.first, subject="", request_id="", reason=f"{self.more} more within a minute")


@dataclass
class Bounded:
    """Chooses what is recorded one by one."""

    clock: Callable[[], float] = time.monotonic
    _windows: dict[tuple[str, str], Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self, entry: NewEntry | None) -> Sequence[NewEntry]:
        """Return what is to be recorded now: this entry if there is room, and numbers of minutes that are over."""
        with self._lock:
            now = self.clock()
            over = [key for key, window in self._windows.items() if window.ends_at <= now]
            ended = [self._windows.pop(key) for key in over]
            summaries = [window.summary() for window in ended if window.more]
            return [*summaries, entry] if entry is not None and self._has_room(entry, now) else summaries

    def _has_room(self, entry: NewEntry, now: float) -> bool:
        if entry.kind != CallerKind.NOBODY:
            return self._counted((entry.kind, entry.caller), MOST_OF_CALLER, entry, now)
        everybody = replace(entry, action="", address="")
        return self._counted((entry.kind, ""), MOST_OF_NOBODY, everybody, now) and self._counted(
            (entry.kind, entry.address), MOST_OF_ADDRESS, entry, now
        )

    def _counted(self, key: tuple[str, str], most: int, entry: NewEntry, now: float) -> bool:
        window = self._windows.setdefault(key, Window(now + WINDOW_SECONDS, most, entry))
        if window.recorded < window.most:
            window.recorded += 1
            return True
        window.more += 1
        return False


def register(app: Flask, store: Audit) -> None:
    """Record what is refused."""
    bounded = Bounded()

    @app.after_request
    def record(response: Response) -> Response:
        told = [entry_of(response), *g.pop("refused", ())]
        if entries := [each for entry in told for each in bounded.choose(entry)]:
            response.call_on_close(partial(_write, store, entries))  # nobody waits for it
        return response


def note(action: str, subject: str, code: str) -> None:
    """Have the refusal of one act among several recorded, which the answer's status does not show."""
    entry = NewEntry.of(act(action), subject, outcome=Outcome.REFUSED, reason=code)
    g.setdefault("refused", []).append(entry)


def entry_of(response: Response) -> NewEntry | None:
    """Return what the audit says of a request that was not done; None if it says nothing."""
    status, caller = response.status_code, current_caller()
    is_known = caller.kind is not CallerKind.NOBODY
    is_change = request.method not in SAFE_METHODS and request.endpoint is not None and is_known
    if status not in (401, 403) and not (is_change and status >= 400):
        return None
    outcome = Outcome.FAILED if status >= 500 else Outcome.REFUSED
    # Of who is unknown, nothing that it chose is kept: it may have sent its token in the wrong place.
    subject = _subject() if is_known else ""
    return NewEntry.of(
        act(request.endpoint or "unknown"), subject, outcome=outcome, reason=str(g.get("problem", status))
    )


def _subject() -> str:
    place = str(request.url_rule).split("/")[1] if request.url_rule is not None else ""
    given = next(iter((request.view_args or {}).values()), None)
    return f"{SUBJECTS[place]}:{given}" if place in SUBJECTS and given is not None else ""


def _write(store: Audit, entries: Sequence[NewEntry]) -> None:
    try:
        store.record_entries(entries)
    except StoreUnavailable as error:
        logger.warning("refused requests are not in the audit", extra={"number": len(entries), "cause": error.message})
