"""Reads lines of a log as people see them: without control sequences, and with what a progress bar showed last.

static/log.js shows them by the same rules.
"""

import re
from collections.abc import Iterator
from itertools import islice

# Complete CSI and OSC sequences, so that none of their letters remain; then any two-character escape.
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -~]?"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LOOKS_LIKE_ERROR = re.compile(
    r"Traceback \(most recent call last\)|\b\w*(?:Error|Exception)\b\s*:|\b(?:ERROR|FATAL|CRITICAL)\b|\b[Ee]rror:"
    r"|\bfatal:|Segmentation fault|Out of memory|exit(?:ed with)?(?: the)? code [1-9]|=== Run .* failed ==="
)
LONGEST_LOOKED_AT = 64 * 1024  # of a line
MOST_LOOKED_AT = 200_000  # lines: a log of millions that are empty must not keep the server busy for seconds


def shown(line: bytes) -> str:
    """Return what a terminal would show of the line."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
    return CONTROL.sub("", SEQUENCE.sub("", text))


def shown_lines(data: bytes, *, longest: int) -> str:
    """Return all lines as they are shown, each cut to so many characters."""
    return "\n".join(_cut(shown(line[-LONGEST_LOOKED_AT:]), longest) for line in data.split(b"\n"))


def lines_with(data: bytes, text: str, *, begins_at: int) -> Iterator[int]:
    """Yield where each line begins that shows the text, in capitals or not."""
    wanted = text.casefold()
    for offset, line in _lines(data, begins_at):
        if wanted in shown(line).casefold():
            yield offset


def last_error(data: bytes, *, begins_at: int) -> int | None:
    """Return where the last line begins that looks like an error, among the last MOST_LOOKED_AT."""
    offset = begins_at + len(data)
    for line in islice(reversed(data.rsplit(b"\n", MOST_LOOKED_AT)), MOST_LOOKED_AT):
        offset -= len(line)
        if LOOKS_LIKE_ERROR.search(shown(line[:LONGEST_LOOKED_AT])):
            return offset
        offset -= 1
    return None


def _lines(data: bytes, begins_at: int) -> Iterator[tuple[int, bytes]]:
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        yield begins_at, line
        begins_at += len(line) + 1


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} …"
