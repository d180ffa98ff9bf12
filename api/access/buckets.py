"""Token buckets, one for each name, in this process's memory: each fills steadily, and every request takes one out."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from api.http.behind_proxy import find_address

MOST_NAMES = 10_000  # the one that was used longest ago is forgotten first, and is full again
IPV6_NETWORK = 64  # bits; whoever has one IPv6 address has 2^64 of them


@dataclass(frozen=True)
class Taken:
    """What a look at a bucket found."""

    is_let: bool
    left: int
    full_after_seconds: int  # until all of it is there again
    wait_seconds: int  # until the next one is there


class Buckets:
    """The buckets of all names. Every one holds ``burst``, and gets ``per_second`` back."""

    def __init__(
        self, per_second: float, burst: int, *, most: int = MOST_NAMES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second = per_second
        self.burst = burst
        self._most = most
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how full each was, and when
        self._changing = threading.Lock()

    def take(self, name: str) -> Taken:
        """Take one out, if there is one."""
        return self._look(name, 1)

    def look(self, name: str) -> Taken:
        """Say what taking one would find."""
        return self._look(name, 0)

    def _look(self, name: str, number: int) -> Taken:
        with self._changing:
            now = self._clock()
            before, at = self._levels.pop(name, (float(self.burst), now))
            level = min(self.burst, before + max(0.0, now - at) * self.per_second)
            is_let = level >= 1
            level -= number if is_let else 0
            self._levels[name] = (level, now)
            if len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return Taken(
            is_let,
            int(level),
            math.ceil((self.burst - level) / self.per_second),
            max(1, math.ceil((1 - level) / self.per_second)),
        )


def place_of(address: str | None) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 network as a provider gives one to a customer."""
    found = find_address(address or "")
    if found is None or found.version == 4:
        return str(found or "")
    return f"{found.exploded[: IPV6_NETWORK // 16 * 5]}:/{IPV6_NETWORK}"
