"""Text that others wrote, made safe for a terminal: it can move no cursor, set no title, and hide no line."""

import re

# CSI and OSC sequences whole, so that none of their letters stay; then any two-character escape.
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -~]?"
)
LINE_END = re.compile(r"\r+\n?")  # a progress bar goes back and writes over its line: here each state is a line
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Return the text without control sequences; of control characters only tabs and line ends stay."""
    return CONTROL.sub("", LINE_END.sub("\n", SEQUENCE.sub("", text)))


def plain_line(text: str) -> str:
    """Return the text as `plain` does, and on one line."""
    return " ".join(plain(text).split())
