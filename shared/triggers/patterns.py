"""Patterns in which * stands for any characters: of repositories, branches and models. Pure."""


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text is of the pattern; in time that grows with their lengths only."""
    first, *more = pattern.split("*")
    if not more:
        return text == pattern
    *middle, last = more
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:  # the earliest place leaves the most for those that follow
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
