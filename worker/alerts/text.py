"""Prepares text of users and trainings for any channel: only what is visible, cut to what fits."""

import re
from itertools import accumulate, takewhile

# What a terminal interprets rather than shows, and what changes the direction of the surrounding text.
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINE_CHARACTERS = 200  # of a log line; a long one must not push the others out
ELLIPSIS = "…"


def size(text: str) -> int:
    """Count characters as JavaScript does, which is the strictest reading of Discord's limits."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """Cut the text to fit, with a visible mark."""
    if size(text) <= limit:
        return text
    if limit <= 0:
        return ""
    sizes = accumulate(size(character) for character in text)
    kept = sum(1 for _ in takewhile(lambda used: used < limit, sizes))
    return f"{text[:kept]}{ELLIPSIS}"


def printable(text: str) -> str:
    """Remove invisible characters. Secrets are searched for afterwards, because such characters might hide them."""
    return UNPRINTABLE.sub("", ANSI.sub("", text))


def one_line(text: str, limit: int) -> str:
    """Return the text on one line, cut to fit."""
    return cut(" ".join(text.split()), limit)


def last_lines(output: str, count: int) -> list[str]:
    """Return the last lines that are not blank."""
    lines = [printable(line).rstrip() for line in output.split("\n")]
    return [line for line in lines if line][-count:]
