"""The table of what was used. Alembic creates it; a test compares the two."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from shared.jobs.monthly_usage import AttemptOutcome
from shared.sql.column_types import CleanString, Word
from shared.sql.tables import metadata

monthly_usage = Table(  # by triggers (migration 0024), for good; a key may have several rows. Times are microseconds
    "monthly_usage",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("month", CleanString(7), nullable=False),  # 2026-01, in UTC
    Column("team", CleanString(63), nullable=False),  # empty for none, as is the model
    Column("model", CleanString(250), nullable=False),
    Column("experiment", CleanString(250), nullable=False),
    Column("outcome", Word(AttemptOutcome, 16), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("lasted", BigInteger, nullable=False),
    Column("gpu", BigInteger, nullable=False),
    Column("cpu", BigInteger, nullable=False),
    Column("without_cpus", BigInteger, nullable=False),
    Column("waited", BigInteger, nullable=False),
    Index(None, "month", "experiment", "model", "team", "outcome"),
    Index(None, "team", "month"),
)
