"""A machine that has IPv6 only: a network namespace with ::1 and nothing else, in which a test is for a while."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.network.devices import ip, require_root

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"


@contextmanager
def ipv6_only() -> Iterator[None]:
    """Let this thread, and what it starts, be on such a machine."""
    require_root()
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(HERE, os.O_RDONLY)
    try:
        _check(libc.unshare(CLONE_NEWNET))
        try:
            ip("link", "set", "lo", "up")
            ip("address", "del", "127.0.0.1/8", "dev", "lo")
            yield
        finally:
            _check(libc.setns(before, CLONE_NEWNET))
    finally:
        os.close(before)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
