"""The job store as the drill sees it: its tables, read by plain SQL and without the code that is being tested."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
SUPERVISED = frozenset({"starting", "running", "cancelling"})
WAIT_SECONDS = 2


@dataclass(frozen=True)
class JobRow:
    """A job's record, as far as the drill looks at it."""

    id: str
    state: str
    concurrency_key: str
    queue: str
    host: str | None
    attempt: int
    ended_at: str | None
    reason_code: str | None
    reason_message: str | None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL

    @property
    def is_supervised(self) -> bool:
        """Whether it takes a slot."""
        return self.state in SUPERVISED


@dataclass(frozen=True)
class AttemptRow:
    """One attempt's record."""

    job_id: str
    number: int
    host: str
    container: str | None
    run_id: str | None
    exit_code: int | None
    reason_code: str | None
    reason_type: str | None
    ended_at: str | None


@dataclass(frozen=True)
class TransitionRow:
    """One change of state."""

    job_id: str
    from_state: str | None
    to_state: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class PromotionRow:
    """One decision about a model."""

    id: str
    model: str
    version: str | None
    state: str
    job_id: str | None
    attempt: int | None


@dataclass(frozen=True)
class MoveRow:
    """One move of the alias champion, as the history tells it."""

    promotion_id: str
    model: str
    version: str | None
    before: str | None
    kind: str


@dataclass(frozen=True)
class TriggerRow:
    """A trigger that ticks every so many seconds."""

    id: str
    name: str
    created_at: datetime
    every: int


@dataclass(frozen=True)
class TriggerEventRow:
    """What became of one occurrence."""

    trigger_id: str
    key: str | None
    at: datetime
    outcome: str
    reason: str
    job_id: str | None


class Records:
    """Reads the store. While a fault keeps it closed, the answers are None or raise DBAPIError, as said."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        options = {"timeout": WAIT_SECONDS} if self.is_sqlite else {"options": f"-c lock_timeout={WAIT_SECONDS}s"}
        self._engine = sa.create_engine(url, connect_args=options)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def find_jobs(self) -> dict[str, JobRow] | None:
        """All jobs by id, of one moment; None while the store does not answer."""
        columns = "id, state, concurrency_key, queue, host, attempt, ended_at, reason_code, reason_message"
        try:
            rows = [JobRow(*row) for row in self._read(f"SELECT {columns} FROM jobs")]  # noqa: S608 - our own words
        except DBAPIError:
            return None
        return {row.id: row for row in rows}

    def attempts(self) -> list[AttemptRow]:
        """All attempts; raises DBAPIError."""
        columns = "job_id, number, host, container, run_id, exit_code, reason_code, reason_type, ended_at"
        return [AttemptRow(*row) for row in self._read(f"SELECT {columns} FROM attempts ORDER BY job_id, number")]  # noqa: S608

    def transitions(self) -> list[TransitionRow]:
        """All changes of state; with SQLite in the order in which they were committed."""
        order = "rowid" if self.is_sqlite else "job_id, number"
        columns = "job_id, from_state, to_state, attempt, reason"
        return [TransitionRow(*row) for row in self._read(f"SELECT {columns} FROM transitions ORDER BY {order}")]  # noqa: S608

    def promotions(self) -> list[PromotionRow]:
        """All decisions; raises DBAPIError."""
        columns = "id, model, version, state, job_id, attempt"
        return [PromotionRow(*row) for row in self._read(f"SELECT {columns} FROM promotions")]  # noqa: S608

    def moves(self) -> list[MoveRow]:
        """All moves of champions, in their order; raises DBAPIError."""
        columns, which = "promotion_id, model, version, before, kind", "event = 'moved' AND alias = 'champion'"
        rows = self._read(f"SELECT {columns} FROM model_events WHERE {which} ORDER BY number")  # noqa: S608
        return [MoveRow(*row) for row in rows]

    def find_moves(self) -> list[MoveRow] | None:
        """The same; None while the store does not answer."""
        try:
            return self.moves()
        except DBAPIError:
            return None

    def triggers(self) -> list[TriggerRow]:
        """All triggers; raises DBAPIError."""
        rows = self._read("SELECT id, name, created_at, condition FROM triggers")
        return [TriggerRow(row[0], row[1], _time(row[2]), _json(row[3])["every"]) for row in rows]

    def trigger_events(self) -> list[TriggerEventRow]:
        """All that happened to triggers; raises DBAPIError."""
        columns = "trigger_id, key, at, outcome, reason, job_id"
        rows = self._read(f"SELECT {columns} FROM trigger_events ORDER BY number")  # noqa: S608 - our own words
        return [TriggerEventRow(row[0], row[1], _time(row[2]), *row[3:]) for row in rows]

    def triggers_of_jobs(self) -> dict[str, str | None]:
        """All jobs, with the trigger that made each; raises DBAPIError."""
        return {row[0]: row[1] for row in self._read("SELECT id, trigger_name FROM jobs")}

    def log(self, job_id: str, attempt: int) -> bytes:
        """What is kept of an attempt's output."""
        statement = sa.text(
            "SELECT data FROM log_chunks WHERE job_id = :job_id AND attempt = :attempt ORDER BY log_chunks.offset"
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement, {"job_id": job_id, "attempt": attempt})
            return b"".join(bytes(row[0]) for row in rows)

    def has_waiting_alerts(self) -> bool:
        """Whether anything is still to be told."""
        return bool(self._read("SELECT 1 FROM alerts WHERE state = 'waiting' LIMIT 1"))

    def ids_of_key(self, key: str) -> list[str]:
        """The jobs that were made for one idempotency key."""
        statement = sa.text("SELECT job_id FROM labels WHERE name = 'key' AND value = :key")
        with self._engine.connect() as connection:
            return [row[0] for row in connection.execute(statement, {"key": key})]

    def _read(self, statement: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]


def _time(value: Any) -> datetime:
    """SQLite has text, in UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
