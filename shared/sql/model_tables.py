"""The tables about models. They refer to no job: what is known of a model outlives the jobs that made its versions."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table

from shared.alerts.model import AlertEvent, AlertState
from shared.jobs.observations import Verdict
from shared.jobs.promotions import Event, Kind, PromotionState
from shared.sql.column_types import CleanString, CleanText, PlainJson, UtcDateTime, Word
from shared.sql.tables import metadata

promotions = Table(
    "promotions",
    metadata,
    Column("id", CleanString(36), primary_key=True),
    Column("model", CleanString(256), nullable=False),
    Column("alias", CleanString(256), nullable=False),
    Column("kind", Word(Kind, 16), nullable=False),
    Column("version", CleanString(20)),
    Column("before", CleanString(20)),
    Column("state", Word(PromotionState, 20), nullable=False),
    Column("actor", CleanString(250), nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("job_id", CleanString(36)),
    Column("attempt", Integer),
    Column("number", Integer, nullable=False),
    Column("decision", PlainJson, nullable=False),
    Column("facts", PlainJson, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("moving_until", UtcDateTime),  # until then, one mover has it
    Index(None, "job_id", "attempt", "model", "alias", "number", unique=True),
    Index(None, "model", "created_at", "id"),
    Index(None, "state", "created_at"),
)

model_events = Table(  # only ever added to
    "model_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("promotion_id", CleanString(36), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("model", CleanString(256), nullable=False),
    Column("alias", CleanString(256), nullable=False),
    Column("event", Word(Event, 20), nullable=False),
    Column("kind", Word(Kind, 16), nullable=False),
    Column("version", CleanString(20)),
    Column("before", CleanString(20)),
    Column("actor", CleanString(250), nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("job_id", CleanString(36)),
    Index(None, "model", "number"),
    Index(None, "model", "alias", "number"),
    Index(None, "model", "alias", "event", "number"),
    Index(None, "promotion_id"),
)

model_alerts = Table(  # told apart from those about jobs, which are deleted with their job
    "model_alerts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the line of model_events
    Column("channel", CleanString(63), primary_key=True),
    Column("event", Word(AlertEvent, 16), nullable=False),
    Column("promotion_id", CleanString(36), nullable=False),
    Column("model", CleanString(256), nullable=False),  # the alerts of an alias are sent in order
    Column("alias", CleanString(256), nullable=False),
    Column("job_id", CleanString(36)),
    Column("state", Word(AlertState, 16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("cause", CleanText),
    Index(None, "state", "due_at"),
    Index(None, "at"),
    Index(None, "channel", "at"),
    Index(None, "state", "at"),
    Index(None, "model", "alias", "number"),
)

open_notes = Table(  # promotions whose run in MLflow does not tell what became of them; the sweep empties it
    "open_notes", metadata, Column("promotion_id", CleanString(36), primary_key=True)
)

observations = Table(
    "observations",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("model", CleanString(256), nullable=False),
    Column("version", CleanString(20), nullable=False),
    Column("metric", CleanString(250), nullable=False),
    Column("value", Float, nullable=False),
    Column("n", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("actor", CleanString(250), nullable=False),
    Column("promotion_id", CleanString(36)),
    Column("verdict", Word(Verdict, 16), nullable=False),
    Column("reason", CleanText, nullable=False),
    Index(None, "model", "version", "metric", "at", unique=True),
    Index(None, "model", "number"),
    Index(None, "verdict", "promotion_id", "number"),
    Index(None, "received_at"),
)
