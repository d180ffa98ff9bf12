"""The job store's tables, without those about models. Alembic creates them; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    false,
    literal_column,
    text,
)

from shared.alerts.model import AlertEvent, AlertState, TrialState
from shared.errors import Code, FailureType
from shared.jobs.model import JobState
from shared.scheduling.hosts import QueueCode
from shared.sql.column_types import CleanString, CleanText, Labels, PlainJson, UtcDateTime, Word

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _job_id(*, primary_key: bool) -> Column[str]:
    return Column(
        "job_id", CleanString(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False
    )


jobs = Table(
    "jobs",
    metadata,
    Column("id", CleanString(36), primary_key=True),
    Column("state", Word(JobState, 16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("experiment_name", CleanString(250), nullable=False),
    Column("model_name", CleanString(250)),
    Column("queue", CleanString(63), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("concurrency_key", CleanString(300), nullable=False),
    Column("request", PlainJson, nullable=False),
    Column("secret", LargeBinary),
    Column("queue_deadline_at", UtcDateTime),
    Column("reason_code", Word(Code, 40)),
    Column("reason_type", Word(FailureType, 20)),
    Column("reason_message", CleanText),
    Column("commit_sha", CleanString(64)),
    Column("image", CleanText),
    Column("image_id", CleanString(200)),
    Column("dataset_repo", CleanText),
    Column("base_model_version", CleanString(64)),
    Column("experiment_id", CleanString(64)),
    Column("run_id", CleanString(64)),
    Column("result", PlainJson),
    Column("host", CleanString(255)),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lease_token", Integer, nullable=False, default=0),
    Column("lease_expires_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("looked_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    Column("cancel_forced", Boolean, nullable=False, default=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("wanted_host", CleanString(255)),  # None means any
    Column("wanted_labels", Labels(1300), nullable=False, server_default=text("''")),
    Column("retry_of", CleanString(36)),
    Column("request_id", CleanString(64)),
    Column("trigger_name", CleanString(63)),
    Column("triggered_by", PlainJson),
    Column("submitted_by", CleanString(255)),
    Column("team", CleanString(63)),
    Column("roles", Labels(100)),
    Column("had_secret", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at", "id"),
    Index(None, "state", "queue", "priority", "created_at"),
    Index(None, "concurrency_key", "state", "queue", "priority", "created_at", "id"),
    Index(None, "host", "created_at", "id"),
    Index(None, "host", "state", "created_at", "id"),
    Index(None, "state", "gpus"),
    Index(None, "state", "sent_at"),
    Index(None, "ended_at", "id"),
    Index(None, "experiment_name", "created_at", "id"),
    Index(None, "model_name", "created_at", "id"),
    Index(None, "experiment_name", "state", "created_at", "id"),
    Index(None, "model_name", "state", "created_at", "id"),
)
# Literals, not parameters, so that every plan may use the indexes of these jobs alone (migrations/partial_indexes.py).
IS_QUEUED = jobs.c.state == literal_column("'queued'")
NOT_ENDED = jobs.c.state.not_in([literal_column(f"'{state}'") for state in ("succeeded", "failed", "cancelled")])

ended_counts = Table(  # how many jobs have ended; a state may have several rows. Triggers keep it (migration 0020)
    "ended_counts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state", Word(JobState, 16), nullable=False),
    Column("number", BigInteger, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    _job_id(primary_key=True),
    Column("name", CleanString(63), primary_key=True),
    Column("value", CleanString(250), nullable=False),
    # Those of its job, so that an index has a label's newest jobs. Triggers keep them (migration 0020).
    Column("created_at", UtcDateTime),
    Column("state", Word(JobState, 16)),
    Index(None, "name", "created_at", "job_id"),
    Index(None, "name", "value", "created_at", "job_id"),
    Index(None, "name", "state", "created_at", "job_id"),
    Index(None, "name", "value", "state", "created_at", "job_id"),
)

attempts = Table(
    "attempts",
    metadata,
    _job_id(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("host", CleanString(255), nullable=False),
    Column("runner", CleanString(16)),
    Column("container", CleanString(128)),
    Column("run_id", CleanString(64)),
    Column("machine", CleanString(64)),  # None for rows of older workers
    Column("engine", CleanString(128)),
    Column("releases", Integer, nullable=False, server_default="0"),  # during preparation, by workers that stopped
    Column("gpu_ids", PlainJson),  # None in rows of older workers
    Column("exit_code", Integer),
    Column("oom_killed", Boolean, nullable=False, default=False),
    Column("reason_code", Word(Code, 40)),
    Column("reason_type", Word(FailureType, 20)),
    Column("reason_message", CleanText),
    Column("log_size", BigInteger, nullable=False, default=0),
    Column("log_source_offset", BigInteger, nullable=False, default=0),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)

open_runs = Table(  # runs of ended attempts; the sweep empties it
    "open_runs",
    metadata,
    _job_id(primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
)

transitions = Table(
    "transitions",
    metadata,
    _job_id(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("from_state", Word(JobState, 16)),
    Column("to_state", Word(JobState, 16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", CleanText, nullable=False),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    _job_id(primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", CleanString(255), primary_key=True),
    Column("payload_hash", CleanString(64), nullable=False),
    _job_id(primary_key=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "job_id"),
)

alerts = Table(
    "alerts",
    metadata,
    _job_id(primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("event", Word(AlertEvent, 16), primary_key=True),
    Column("channel", CleanString(63), primary_key=True),
    Column("number", Integer, nullable=False),  # the job's alerts are sent in this order
    Column("state", Word(AlertState, 16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("retry_in_seconds", Float),
    Column("at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # its next try; while one is under way, the end of its lease
    Column("cause", CleanText),  # why the last try failed
    Index(None, "state", "due_at"),
    Index(None, "at"),
    Index(None, "channel", "at"),
    Index(None, "state", "at"),
)

alert_trials = Table(
    "alert_trials",
    metadata,
    Column("id", CleanString(36), primary_key=True),
    Column("channel", CleanString(63), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("state", Word(TrialState, 16), nullable=False),
    Column("cause", CleanText, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("host", CleanString(255), primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("queues", PlainJson, nullable=False),
    Column("runner", CleanString(16), nullable=False),
    Column("gpus", PlainJson),
    Column("closed_because", Word(QueueCode, 40)),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("watching_since", UtcDateTime),  # heartbeats without a gap since then
    Column("has_left", Boolean, nullable=False, server_default=false()),
    Column("labels", PlainJson),
    Column("request_fields", PlainJson),  # the fields that its worker knows; None for older workers
    Column("drained_at", UtcDateTime),  # since then a person wants it to take nothing new
    Column("drain_reason", CleanText),
    Column("machine", CleanString(64)),  # the machine that has the name; None in rows of older workers
    Column("engine", CleanString(128)),
    Column("machine_since", UtcDateTime),  # since when that machine, with that engine, has it
    Column("machine_says", CleanText),
    Column("refused_says", CleanText),  # the machine that last wanted the same name
    Column("refused_at", UtcDateTime),
)

pings = Table("pings", metadata, Column("id", Integer, primary_key=True), Column("at", UtcDateTime, nullable=False))
