"""The tables of tokens, sessions, the audit and models' teams. Alembic creates them; a test compares the two."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from shared.sql.column_types import CleanString, CleanText, Labels, UtcDateTime
from shared.sql.tables import metadata

tokens = Table(
    "tokens",
    metadata,
    Column("id", CleanString(36), primary_key=True),
    Column("name", CleanString(63), nullable=False, unique=True),
    Column("hash", CleanString(64), nullable=False, unique=True),
    Column("hint", CleanString(16), nullable=False),
    Column("previous_hash", CleanString(64)),  # of the secret before the last rotation
    Column("previous_until", UtcDateTime),
    Column("roles", Labels(100), nullable=False),
    Column("team", CleanString(63)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", CleanString(255), nullable=False),
    Column("rotated_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    Index(None, "previous_hash"),
)

sessions = Table(  # of the page
    "sessions",
    metadata,
    Column("hash", CleanString(64), primary_key=True),  # of the cookie
    Column("token_id", CleanString(36)),  # null for a token of the settings,
    Column("proof", CleanString(64), nullable=False),  # which this shows to have been shown
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("holder", CleanString(63)),  # null for those that an API of an older version began
    Index(None, "expires_at"),
    Index(None, "holder", "created_at"),
)

audit = Table(  # only ever added to; numbers have no gap
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("caller", CleanString(255), nullable=False),
    Column("kind", CleanString(16), nullable=False),
    Column("team", CleanString(63)),
    Column("action", CleanString(63), nullable=False),
    Column("subject", CleanString(300), nullable=False),
    Column("outcome", CleanString(16), nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("address", CleanString(63), nullable=False),
    Column("request_id", CleanString(64), nullable=False),
    Column("hash", CleanString(64), nullable=False),  # of the row and of the hash of the row before
    Index(None, "caller", "number"),  # a million entries are read in a tenth of a second: other filters need none
    Index(None, "subject", "number"),
)

model_teams = Table(  # of every model that a job has named
    "model_teams",
    metadata,
    Column("model", CleanString(256), primary_key=True),
    Column("team", CleanString(63)),
    Column("since", UtcDateTime, nullable=False),
)
