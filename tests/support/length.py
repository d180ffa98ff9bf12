"""Suites show the same in a short form and in a long one: `make test` runs the short, `make test LONG=1` the long."""

import os

IS_LONG = os.environ.get("LONG", "0") not in ("", "0")


def rounds(short: int, *, long: int) -> int:
    """Return how many to run."""
    return long if IS_LONG else short
