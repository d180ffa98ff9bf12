"""Who asked: tokens, an audit, whose team a model is, and of jobs and triggers who made them.

Older programs leave a job's and a trigger's maker empty, and record nothing in the audit.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
IS_QUEUED = sa.text("state = 'queued'")
# What was trained before there were teams is nobody's, until an administrator assigns it: else it would be that team's
# whose job names it first from now on.
MODELS_OF_NOBODY = """
    INSERT INTO model_teams (model, since)
    SELECT model, min(since) FROM (
        SELECT model_name AS model, created_at AS since FROM jobs WHERE model_name IS NOT NULL
        UNION ALL SELECT model, created_at FROM promotions
        UNION ALL SELECT model, at FROM model_events
    ) AS named GROUP BY model
"""
MAKER = (("submitted_by", 255), ("team", 63), ("roles", 100))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False, unique=True),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("previous_hash", sa.String(64)),
        sa.Column("previous_until", TIME),
        sa.Column("roles", sa.String(100), nullable=False),
        sa.Column("team", sa.String(63)),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("rotated_at", TIME),
        sa.Column("expires_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.Column("used_at", TIME),
    )
    op.create_index("ix_tokens_previous_hash", "tokens", ["previous_hash"])
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("caller", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("team", sa.String(63)),
        sa.Column("action", sa.String(63), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("address", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_caller_number", "audit", ["caller", "number"])
    op.create_index("ix_audit_subject_number", "audit", ["subject", "number"])
    op.create_table(
        "model_teams",
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("team", sa.String(63)),
        sa.Column("since", TIME, nullable=False),
    )
    op.execute(MODELS_OF_NOBODY)
    for table in ("jobs", "triggers"):
        for name, length in MAKER:
            op.add_column(table, sa.Column(name, sa.String(length)))
    op.create_index(
        "ix_jobs_waiting_by_maker",
        "jobs",
        ["submitted_by"],
        postgresql_where=IS_QUEUED,
        sqlite_where=IS_QUEUED,
    )
    for owner in ("team", "submitted_by"):
        is_owned = sa.text(f"{owner} IS NOT NULL")
        for columns in ([owner, "created_at", "id"], [owner, "state", "created_at", "id"]):
            op.create_index(
                f"ix_jobs_{'_'.join(columns)}",
                "jobs",
                columns,
                postgresql_where=is_owned,
                sqlite_where=is_owned,
            )
