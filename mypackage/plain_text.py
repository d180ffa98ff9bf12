"""Makes foreign text safe for a terminal: it cannot move the cursor, set a title, or hide a line."""

import re

# Complete CSI and OSC sequences, so that none of their letters remain; then any two-character escape.
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -~]?"
)
LINE_END = re.compile(r"\r+\n?")  # a progress bar overwrites its line: here each state becomes a line
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Return the text without control sequences; the only control characters left are tabs and line ends."""
    return CONTROL.sub("", LINE_END.sub("\n", SEQUENCE.sub("", text)))


def plain_line(text: str) -> str:
    """Return the text as `plain` does, and on one line."""
    return " ".join(plain(text).split())
