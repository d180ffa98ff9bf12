"""How all processes log: one line an event, its facts as name=value behind the message."""

import logging
import sys

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """Adds what was given as ``extra`` to the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, facts in the order in which they were given, before any traceback."""
        facts = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in STANDARD)
        line, _, traceback = super().format(record).partition("\n")
        return f"{line} {facts}".rstrip() + (f"\n{traceback}" if traceback else "")


def configure(level: str) -> None:
    """Send all loggers' lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FactsFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Celery's lines about tasks repeat ours, with the whole result in them.
    repeating = ("celery.worker.strategy", "celery.app.trace")
    for chatty in ("urllib3", "alembic.runtime.migration", "kombu", "docker", *repeating):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
