"""Reads what a browser's fields send, as an operation of the API takes it."""

MINUTE = len("2026-01-31T12:00")


def whole_number(sent: str) -> int | str:
    """Return the digit that was chosen; anything else as it came, for the API to refuse in its words."""
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) == 1 else sent


def in_utc(sent: str) -> str:
    """Return a time: a browser's field for one has no zone, and its label says UTC."""
    return f"{sent}:00Z" if len(sent) == MINUTE else sent
