"""Text of users and trainings, before a channel shows it: what can be seen of it, and no more than fits."""

import re
from itertools import accumulate, takewhile

# What a terminal obeys rather than shows, and what turns the direction of the text around it.
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINE_CHARACTERS = 200  # of a log; one long line must not push the others out
ELLIPSIS = "…"


def size(text: str) -> int:
    """Characters as JavaScript counts them: the strictest way to read Discord's limits."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """The beginning of the text, so that it fits; the cut shows."""
    if size(text) <= limit:
        return text
    if limit <= 0:
        return ""
    sizes = accumulate(size(character) for character in text)
    kept = sum(1 for _ in takewhile(lambda used: used < limit, sizes))
    return f"{text[:kept]}{ELLIPSIS}"


def printable(text: str) -> str:
    """The text without what no one can see. Secrets are looked for in this: they might be hidden by it otherwise."""
    return UNPRINTABLE.sub("", ANSI.sub("", text))


def one_line(text: str, limit: int) -> str:
    """The text in one line, and no more of it than fits."""
    return cut(" ".join(text.split()), limit)


def last_lines(output: str, count: int) -> list[str]:
    """The last lines that show anything."""
    lines = [printable(line).rstrip() for line in output.split("\n")]
    return [line for line in lines if line][-count:]
