"""Remembers for two seconds which tokens the store has, so that many requests with one cost it one look."""

import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from shared.access.tokens import TOKEN, TokenRecord, Tokens, hash_of
from shared.errors import StoreUnavailable

KEPT_SECONDS = 2.0
MOST_KEPT = 1000
LOOK_SECONDS = 5.0  # between two looks for each answer that lasts


@dataclass(frozen=True)
class _Kept:
    token: TokenRecord
    until: float


class KnownTokens:
    """The record of tokens, for whoever is asked often. What is changed here counts here at once."""

    def __init__(self, store: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._changes = 0

    def find(self, hashed: str) -> TokenRecord | None:
        """Return the token with this hash, as it is or was two seconds ago; unknown ones are never remembered."""
        with self._lock:
            kept, changes = self._kept.get(hashed), self._changes
            if kept is not None and kept.until > self._clock():
                return kept.token
        asked_at = self._clock()
        found = self._store.find_token(hashed)
        with self._lock:
            self._kept.pop(hashed, None)
            if found is not None and changes == self._changes:  # a change meanwhile may be one of this token
                self._kept[hashed] = _Kept(found, asked_at + KEPT_SECONDS)
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return found

    def watch(self, token: str | None) -> Callable[[], bool]:
        """Return what says whether this token has ended since, for answers that last; None never does."""
        if token is None or not TOKEN.match(token):
            return lambda: False
        hashed = hash_of(token)
        return ended_since(lambda: self.find(hashed) is None, self._clock)

    def forget(self) -> None:
        """Ask the store again for each: one was rotated or revoked."""
        with self._lock:
            self._kept.clear()
            self._changes += 1


def ended_since(has_ended: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Return what tells it, and asks only now and then. Once it has ended, it has."""
    looked_at, told = clock(), False

    def look() -> bool:
        nonlocal looked_at, told
        now = clock()
        if not told and now - looked_at >= LOOK_SECONDS:
            looked_at = now
            with suppress(StoreUnavailable):  # nobody knows: the next look tells
                told = has_ended()
        return told

    return look
