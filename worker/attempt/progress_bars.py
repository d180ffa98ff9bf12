"""Output that a terminal writes over, such as a progress bar, as lines that can be read anywhere.

All that is stored goes through here: no carriage return is left in a stored log.
"""


def as_last_seen(output: bytes) -> bytes:
    """Each line as a terminal shows it in the end: what a carriage return wrote over is left out.

    Where the output ends at a carriage return, what is to be written over next becomes a line of its own.
    """
    text = output.replace(b"\r\n", b"\n")
    if b"\r" not in text:
        return text
    *lines, last = (_seen(line) for line in text.split(b"\n"))
    is_open = text.endswith(b"\r") and last
    return b"\n".join([*lines, last]) + (b"\n" if is_open else b"")


def _seen(line: bytes) -> bytes:
    """What is left to see of it; blanks only clear the line."""
    states = [state for state in line.split(b"\r") if state.strip()]
    return states[-1] if states else b""
