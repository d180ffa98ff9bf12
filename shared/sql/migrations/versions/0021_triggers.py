"""What starts retrainings by itself: tables of triggers and of what happened to them, and a job's trigger.

Older programs leave a job's trigger empty, and fire nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
IS_TRIGGERED = sa.text("trigger_name IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "triggers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False, unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("template", sa.JSON, nullable=False),
        sa.Column("condition", sa.JSON, nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("hook_secret", sa.LargeBinary),
        sa.Column("source", sa.Text),
        sa.Column("disable_after", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("paused_at", TIME),
        sa.Column("paused_reason", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("resumed_at", TIME, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.Column("look_at", TIME),
        sa.Column("looked_at", TIME),
        sa.Column("fired_at", TIME),
        sa.Column("look_token", sa.Integer, nullable=False),
        sa.Column("look_until", TIME),
    )
    op.create_index("ix_triggers_state_look_at", "triggers", ["state", "look_at"])
    op.create_index("ix_triggers_state_looked_at", "triggers", ["state", "looked_at"])
    op.create_index("ix_triggers_kind_name", "triggers", ["kind", "name"])
    op.create_table(
        "trigger_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("trigger_id", sa.String(36), sa.ForeignKey("triggers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("key", sa.String(255)),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", TIME),
        sa.Column("job_id", sa.String(36)),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("changes", sa.JSON, nullable=False),
    )
    op.create_index("ix_trigger_events_trigger_id_key", "trigger_events", ["trigger_id", "key"], unique=True)
    op.create_index("ix_trigger_events_trigger_id_number", "trigger_events", ["trigger_id", "number"])
    op.create_index(
        "ix_trigger_events_trigger_id_outcome_recorded_at", "trigger_events", ["trigger_id", "outcome", "recorded_at"]
    )
    op.create_index("ix_trigger_events_last_at", "trigger_events", ["last_at"])
    op.create_table(
        "trigger_pause",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("since", TIME),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.add_column("jobs", sa.Column("trigger_name", sa.String(63)))
    op.add_column("jobs", sa.Column("triggered_by", sa.JSON))
    for columns in (["trigger_name", "created_at", "id"], ["trigger_name", "state", "created_at", "id"]):
        op.create_index(
            f"ix_jobs_{'_'.join(columns)}",
            "jobs",
            columns,
            postgresql_where=IS_TRIGGERED,
            sqlite_where=IS_TRIGGERED,
        )
