"""Finds the line of a training's output that tells most about its end. Pure."""

import re

EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")
SHOWN_CHARACTERS = 300


def telling_line(output: bytes) -> str:
    """Return the last line that names an exception, else the last one that is not empty; "" if there is none."""
    lines = [line.strip() for line in output.decode(errors="replace").split("\n")]
    # Output and errors are two pipes, so what was printed before a traceback may come after it.
    telling = [line for line in lines if EXCEPTION.match(line)] or [line for line in lines if line]
    return telling[-1][:SHOWN_CHARACTERS] if telling else ""
