"""Writes how long something took, for people."""

from datetime import datetime

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def seconds_between(begins: str, ends: str) -> float:
    """Return the seconds from one RFC 3339 time to another; never less than none, as clocks may be set back."""
    return max(0.0, (datetime.fromisoformat(ends) - datetime.fromisoformat(begins)).total_seconds())


def in_words(seconds: float) -> str:
    """Return the two largest units: 0.3 s, 42 s, 3 min 42 s, 2 h 5 min, 4 d 1 h."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left, parts = round(seconds), []
    for size, unit in UNITS:
        number, left = divmod(left, size)
        parts.append((number, unit))
    parts.append((left, "s"))
    first = next(place for place, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)
