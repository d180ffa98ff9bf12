"""Configures how all processes log: one line per event, with its own facts and those of the work it belongs to."""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, TextIO

from shared.jobs.model import NewJob
from shared.secrets.redactor import Redactor

logger = logging.getLogger(__name__)

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
UNWRITABLE = "a line cannot be written"
NOT_CAUGHT = "exception that nobody caught"

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def log_context(**facts: object) -> Iterator[None]:
    """Add these facts to each line logged within, including libraries' lines; None removes one.

    A thread started within has them if it runs in a `contextvars.copy_context()`.
    """
    token = _context.set({**_context.get(), **facts})
    try:
        yield
    finally:
        _context.reset(token)


def job_context(job: NewJob, *, attempt: int | None = None) -> AbstractContextManager[None]:
    """Return the log context of work on a job, replacing that of any other job."""
    return log_context(job_id=job.id, attempt=attempt, request_id=job.request_id)


def _on_one_line(text: str) -> str:
    """Write control characters as Python does: none of them ends the line or does anything to a terminal."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the context's facts, then the line's own; a line about another job has only its own."""
    own = {name: value for name, value in vars(record).items() if name not in STANDARD}
    around = {name: value for name, value in _context.get().items() if value is not None}
    if "job_id" in around and own.get("job_id", around["job_id"]) != around["job_id"]:
        return own
    return {**around, **own}


class FactsFormatter(logging.Formatter):
    """For people: facts as name=value after the message."""

    def __init__(self, form: str | None = None, redactor: Redactor | None = None) -> None:
        super().__init__(form)
        self._redactor = redactor or Redactor()

    def hide(self, secrets: Iterable[str]) -> None:
        """Keep these out of lines, too."""
        self._redactor = self._redactor.hiding(*secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, the facts before any traceback."""
        line, *traceback = super().format(record).split("\n")
        return self._redactor.text("\n".join([line, *(f"  {_on_one_line(each)}" for each in traceback)]))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return what comes before any traceback, on one line: what a value holds makes no line of its own."""
        facts = " ".join(f"{name}={value}" for name, value in facts_of(record).items())
        return _on_one_line(f"{super().formatMessage(record)} {facts}".rstrip())


class JsonFormatter(logging.Formatter):
    """For programs: one JSON object, always on one line."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()

    def hide(self, secrets: Iterable[str]) -> None:
        """Keep these out of lines, too."""
        self._redactor = self._redactor.hiding(*secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; no fact replaces a field that every line has."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = {**fields, **facts_of(record), **fields}
        text = "{" + ", ".join(f"{json.dumps(name)}: {_to_json(value)}" for name, value in line.items()) + "}"
        return self._redactor.json(text)


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # a key that is not a string, a number that is not finite, a cycle
        return json.dumps(str(value))


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines. It reports one that cannot be written in a line, where logging would print a bare traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report which line it was; if that fails too, there is nowhere left to report it."""
        if record.msg is UNWRITABLE:
            return
        said = {"name": record.name, "levelname": "ERROR", "levelno": logging.ERROR, "msg": UNWRITABLE}
        place = {"place": f"{record.pathname}:{record.lineno}", "exc_info": sys.exc_info()}
        self.emit(logging.makeLogRecord({**said, **place}))


class Stray(io.TextIOBase):
    """Standard output or error for code that prints without logging: each line becomes a log line."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._begun = threading.local()

    def write(self, text: str) -> int:
        """Log the complete lines."""
        *lines, self._begun.line = (getattr(self._begun, "line", "") + text).split("\n")
        for line in filter(str.strip, lines):
            logger.log(self._level, "%s", line)
        return len(text)

    def flush(self) -> None:
        """Log the incomplete line."""
        if getattr(self._begun, "line", ""):
            self.write("\n")


class WithoutSecrets:
    """Standard output or error without secrets, for whatever is printed without our loggers. Works line by line."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor
        self._begun = threading.local()

    def hide(self, secrets: Iterable[str]) -> None:
        """Keep these out of what is printed, too."""
        self._redactor = self._redactor.hiding(*secrets)

    def write(self, text: str) -> int:
        """Write the complete lines and keep the rest, because half a secret would not be recognised."""
        whole, end, self._begun.line = (getattr(self._begun, "line", "") + text).rpartition("\n")
        if end:
            self._stream.write(self._redactor.text(whole + end))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all lines."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Write the incomplete line, too."""
        begun, self._begun.line = getattr(self._begun, "line", ""), ""
        self._stream.write(self._redactor.text(begun))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to the stream: its descriptor, its encoding, whether it is a terminal."""
        return getattr(self._stream, name)


def configure(level: str, log_format: Literal["text", "json"] = "text", redactor: Redactor | None = None) -> None:
    """Send all loggers' lines to standard error; as JSON, also warnings, exceptions and what is printed there.

    The redactor's secrets are in none of them, nor in what is printed on the standard streams.
    """
    handler = Lines(sys.__stderr__)  # the real one, whatever replaces it now
    handler.setFormatter(formatter_of(log_format, redactor))
    if redactor:
        hide_in_streams(redactor)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Celery's lines about tasks repeat ours, with the whole result in them.
    repeating = ("celery.worker.strategy", "celery.app.trace")
    for chatty in ("urllib3", "alembic.runtime.migration", "kombu", "docker", *repeating):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    if log_format == "json":
        _leave_nothing_else()


def formatter_of(log_format: Literal["text", "json"], redactor: Redactor | None = None) -> logging.Formatter:
    """Return what makes a line of a record."""
    if log_format == "json":
        return JsonFormatter(redactor)
    return FactsFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", redactor)


def hide_in_streams(redactor: Redactor) -> None:
    """Redact the standard streams, including the real ones, because Celery's own handlers write there."""
    for name in ("stdout", "stderr"):
        real = getattr(sys, f"__{name}__")
        if real is None or isinstance(real, WithoutSecrets):
            continue
        hidden = WithoutSecrets(real, redactor)
        setattr(sys, name, hidden)
        setattr(sys, f"__{name}__", hidden)
        for handler in (each for known in _loggers() for each in known.handlers):
            if isinstance(handler, logging.StreamHandler) and handler.stream is real:
                handler.setStream(hidden)


def hide(secrets: Iterable[str]) -> None:
    """Keep these out of all lines from now on, too: what was only now read from a file."""
    found = [secret for secret in secrets if secret]
    for each in (*(handler.formatter for handler in logging.root.handlers), sys.stdout, sys.stderr):
        if isinstance(each, FactsFormatter | JsonFormatter | WithoutSecrets):
            each.hide(found)


def _loggers() -> list[logging.Logger]:
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return [logging.root, *known]


def _leave_nothing_else() -> None:
    for known in _loggers()[1:]:
        if known.handlers:  # such as MLflow's, which it creates on import
            known.handlers.clear()
            known.propagate = True
    logging.captureWarnings(True)
    sys.excepthook = lambda *exception: logger.critical(NOT_CAUGHT, exc_info=exception)
    threading.excepthook = _on_thread
    sys.unraisablehook = _on_unraisable
    sys.stderr = Stray(logging.ERROR)


def _on_thread(of: threading.ExceptHookArgs) -> None:
    if of.exc_type is not SystemExit:
        _tell(of, in_thread=of.thread.name if of.thread else None)


def _on_unraisable(of: Any) -> None:
    _tell(of, object=repr(of.object))


def _tell(of: Any, **facts: object) -> None:
    logger.critical(NOT_CAUGHT, exc_info=(of.exc_type, of.exc_value, of.exc_traceback), extra=facts)
