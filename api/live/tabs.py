"""Tells open pages, as server-sent events, what of that which they show has changed; for the rest, they ask.

What many pages want at the same moment they are told one after another, or all would be made anew at once.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from api.http.errors import TooManyTabs
from api.live.log_stream import KEEPALIVE_SECONDS
from api.live.signs import Signs, Watched
from shared.jobs.store import JobStore

POLL_SECONDS = 0.5
PAGES_PER_SECOND = 10  # that the server makes for those who are told
BEGIN = b"retry: 3000\n\nevent: begin\ndata:\n\n"  # so the page sees that what is sent arrives
STILL = b"event: still\ndata:\n\n"


class Tabs:
    """Lets at most ``limit`` open pages be told of changes at the same time, at most half of them one caller's."""

    def __init__(self, store: JobStore, *, limit: int) -> None:
        self._signs = Signs(store)
        self._limit = limit
        self._callers: Counter[str] = Counter()
        self._changing = threading.Lock()
        self._is_stopping = False

    def open(self, watched: Sequence[Watched], *, caller: str, is_shut_out: Callable[[], bool]) -> "Tab":
        """Return an open page, which must be closed; raise TooManyTabs if there is no room."""
        with self._changing:
            if self._callers.total() >= self._limit or self._callers[caller] >= max(1, self._limit // 2):
                raise TooManyTabs("As many pages as may are told of changes already (API_TABS). Ask now and then.")
            self._callers[caller] += 1
        return Tab(
            watched,
            self._signs,
            number=self._callers.total,
            is_over=lambda: self._is_stopping or is_shut_out(),
            leave=lambda: self._leave(caller),
        )

    def _leave(self, caller: str) -> None:
        with self._changing:
            self._callers[caller] -= 1
            self._callers += Counter()  # drops those at zero

    def stop(self) -> None:
        """End all soon. Takes no lock, because a signal handler calls it."""
        self._is_stopping = True


class Tab:
    """One open page."""

    def __init__(
        self,
        watched: Sequence[Watched],
        signs: Signs,
        *,
        number: Callable[[], int],
        is_over: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        self._watched, self._signs, self._number, self._is_over = watched, signs, number, is_over
        self.close = leave

    def events(self) -> Iterator[bytes]:
        """Yield an event for each topic that has changed, and empty data now and then while there is nothing.

        It ends if the server stops, or the page's reader may no longer read it.
        """
        yield BEGIN
        told = {each: self._signs.of(each) for each in self._watched}
        due: dict[Watched, float] = {}
        said_at = time.monotonic()
        while not self._is_over():
            now = time.monotonic()
            for each in self._watched:
                if each not in due and self._signs.of(each) != told[each]:
                    due[each] = now + random.random() * self._number() / PAGES_PER_SECOND  # noqa: S311 - not a secret
            ripe = [each for each, at in due.items() if at <= now]
            text = b"".join(b"data: %b\n\n" % each.topic.encode() for each in ripe)
            for each in ripe:
                told[each] = self._signs.of(each)
                del due[each]
            if not text and now - said_at >= KEEPALIVE_SECONDS:
                text = STILL
            said_at = now if text else said_at
            yield text
            if not text:
                time.sleep(POLL_SECONDS)
