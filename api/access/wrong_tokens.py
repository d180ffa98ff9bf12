"""Slows down whoever tries tokens: after some wrong ones, an address is answered before a token is looked up.

Nobody may be locked out by another behind the same address, so what cannot be a guess goes on: a token that was right
since the start, and a long one of API_TOKENS. Records' tokens cannot be guessed either, but looking one up asks the
store: of those that are new to this process, all addresses that have tried too many share a few looks a second.
The same wrong token counts once: a script with an expired one is no attack.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable

from api.access.buckets import Buckets, place_of
from api.http.errors import TooManyWrongTokens

WRONG_A_MINUTE = 10
LOOKS_A_SECOND = 20
LONG = 22  # characters; as many as 128 random bits have in base64
MOST_KNOWN = 10_000


class WrongTokens:
    """What this process remembers of tokens that it was shown; of the tokens themselves only hashes."""

    def __init__(self, unguessable: Iterable[bytes] = ()) -> None:
        self._wrong = Buckets(WRONG_A_MINUTE / 60, WRONG_A_MINUTE)
        self._looks = Buckets(LOOKS_A_SECOND, LOOKS_A_SECOND)
        self._unguessable = frozenset(unguessable)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._seen: OrderedDict[str, deque[bytes]] = OrderedDict()
        self._changing = threading.Lock()

    def check(self, address: str | None, hashed: bytes, *, is_of_record: bool) -> None:
        """Raise TooManyWrongTokens if this token may not be looked at now."""
        tried = self._wrong.look(place_of(address))
        if tried.is_let or self._is_known(hashed) or (is_of_record and self._looks.take("all").is_let):
            return
        raise TooManyWrongTokens(
            f"{WRONG_A_MINUTE} wrong tokens came from your address within a minute, so a token that was not seen "
            f"before has to wait. Send the right one again after {tried.wait_seconds} s.",
            after_seconds=tried.wait_seconds,
        )

    def was_right(self, hashed: bytes) -> None:
        """Remember that this token let somebody in."""
        with self._changing:
            self._right[hashed] = None
            self._right.move_to_end(hashed)
            if len(self._right) > MOST_KNOWN:
                self._right.popitem(last=False)

    def was_wrong(self, address: str | None, hashed: bytes) -> None:
        """Count it, unless it is one of the last ones from this address."""
        place = place_of(address)
        with self._changing:
            self._right.pop(hashed, None)  # it was revoked, or has expired
            last = self._seen.setdefault(place, deque(maxlen=WRONG_A_MINUTE))
            self._seen.move_to_end(place)
            if len(self._seen) > MOST_KNOWN:
                self._seen.popitem(last=False)
            if hashed in last:
                return
            last.append(hashed)
        self._wrong.take(place)

    def _is_known(self, hashed: bytes) -> bool:
        with self._changing:
            return hashed in self._right or hashed in self._unguessable
