"""Turns output that a terminal overwrites, such as a progress bar, into lines that can be read anywhere.

Everything that is stored goes through here: a stored log contains no carriage return.
"""


def as_last_seen(output: bytes) -> bytes:
    """Return each line as a terminal finally shows it, without what a carriage return overwrote.

    If the output ends at a carriage return, what would be overwritten next becomes a line of its own.
    """
    text = output.replace(b"\r\n", b"\n")
    if b"\r" not in text:
        return text
    *lines, last = (_seen(line) for line in text.split(b"\n"))
    is_open = text.endswith(b"\r") and last
    return b"\n".join([*lines, last]) + (b"\n" if is_open else b"")


def _seen(line: bytes) -> bytes:
    """Return what remains visible; blanks just clear the line."""
    states = [state for state in line.split(b"\r") if state.strip()]
    return states[-1] if states else b""
