"""Writes the audit's entries as lines of JSON to a file or to stdout, once they are committed, and logs an anchor."""

import json
import logging
import os
from collections.abc import Callable, Sequence

from shared.access.audit import AuditEntry

logger = logging.getLogger(__name__)

STDOUT = ("-", "stdout")
ANCHOR_EVERY = 100  # entries


def log_to(where: str) -> Callable[[Sequence[AuditEntry]], None]:
    """Return what is done with the entries that this process has committed; ``where`` is empty for no lines."""

    def write(entries: Sequence[AuditEntry]) -> None:
        if where:
            _write(where, "".join(f"{json.dumps(each.record())}\n" for each in entries))
        for each in entries:
            if each.number % ANCHOR_EVERY == 0:
                # Kept apart from the database, it shows that the record's end was cut off: retrain audit verify.
                logger.info("audit anchor", extra={"anchor": f"{each.number}:{each.hash}"})

    return write


def _write(where: str, lines: str) -> None:
    """Append the lines in one write. The file is opened each time, so that it may be moved away at any time."""
    try:
        if where in STDOUT:
            os.write(1, lines.encode())
            return
        file = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)
    except OSError as error:  # the change is made and recorded: only the copy is missing
        logger.error("the audit's lines cannot be written", extra={"file": where, "cause": error.strerror})
