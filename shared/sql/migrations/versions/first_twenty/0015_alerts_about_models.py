"""Alerts about models, and decisions that MLflow does not tell yet: two tables. Older workers do not know them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "model_alerts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(63), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("promotion_id", sa.String(36), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("alias", sa.String(256), nullable=False),
        sa.Column("job_id", sa.String(36)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", "channel", name="pk_model_alerts"),
    )
    op.create_index("ix_model_alerts_state_due_at", "model_alerts", ["state", "due_at"])
    op.create_index("ix_model_alerts_model_alias_number", "model_alerts", ["model", "alias", "number"])
    op.create_table(
        "open_notes",
        sa.Column("promotion_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("promotion_id", name="pk_open_notes"),
    )
