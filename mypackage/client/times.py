"""Writes times as the API takes them."""

from datetime import datetime


def as_time(value: datetime | str | None) -> str | None:
    """Return the time as text; one without a zone is this machine's."""
    return value.astimezone().isoformat() if isinstance(value, datetime) else value
