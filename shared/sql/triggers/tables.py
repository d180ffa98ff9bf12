"""The tables about triggers. Their jobs outlive them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from shared.jobs.triggers import Kind, Outcome, TriggerState
from shared.sql.column_types import CleanString, CleanText, Labels, PlainJson, UtcDateTime, Word
from shared.sql.tables import metadata

triggers = Table(
    "triggers",
    metadata,
    Column("id", CleanString(36), primary_key=True),
    Column("name", CleanString(63), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("kind", Word(Kind, 16), nullable=False),
    Column("template", PlainJson, nullable=False),
    Column("condition", PlainJson, nullable=False),
    Column("policy", PlainJson, nullable=False),
    Column("secret", LargeBinary),
    Column("hook_secret", LargeBinary),
    Column("source", CleanText),
    Column("submitted_by", CleanString(255)),
    Column("team", CleanString(63)),
    Column("roles", Labels(100)),
    Column("disable_after", Integer),
    Column("state", Word(TriggerState, 16), nullable=False),
    Column("paused_at", UtcDateTime),
    Column("paused_reason", CleanText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("resumed_at", UtcDateTime, nullable=False),  # failures before it do not count
    Column("since", UtcDateTime, nullable=False),
    Column("seen", PlainJson, nullable=False),
    Column("look_at", UtcDateTime),  # by a worker; the earliest of the next look and what waits
    Column("looked_at", UtcDateTime),
    Column("fired_at", UtcDateTime),
    Column("look_token", Integer, nullable=False),
    Column("look_until", UtcDateTime),  # while a worker has it
    Index(None, "state", "look_at"),
    Index(None, "state", "looked_at"),  # finds those that were looked at while the clock was ahead
    Index(None, "kind", "name"),
)

trigger_events = Table(
    "trigger_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("trigger_id", CleanString(36), ForeignKey("triggers.id", ondelete="CASCADE"), nullable=False),
    Column("key", CleanString(255)),  # None for a look
    Column("subject", CleanString(500), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("times", Integer, nullable=False),
    Column("outcome", Word(Outcome, 16), nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("until", UtcDateTime),
    Column("job_id", CleanString(36)),
    Column("facts", PlainJson, nullable=False),
    Column("changes", PlainJson, nullable=False),
    Index(None, "trigger_id", "key", unique=True),
    Index(None, "trigger_id", "number"),
    Index(None, "trigger_id", "outcome", "recorded_at"),
    Index(None, "last_at"),
)

trigger_pause = Table(  # one row
    "trigger_pause",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("since", UtcDateTime),  # None: they fire
    Column("reason", CleanText, nullable=False),
)
