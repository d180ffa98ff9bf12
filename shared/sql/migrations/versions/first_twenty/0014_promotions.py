"""What was decided about a model's versions, and who was champion when: two tables. Older workers do not know them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "promotions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("alias", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.String(20)),
        sa.Column("before", sa.String(20)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(250), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(36)),
        sa.Column("attempt", sa.Integer()),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
    )
    by_attempt = ["job_id", "attempt", "model", "alias", "number"]
    op.create_index("ix_promotions_job_id_attempt_model_alias_number", "promotions", by_attempt, unique=True)
    op.create_index("ix_promotions_model_created_at_id", "promotions", ["model", "created_at", "id"])
    op.create_index("ix_promotions_state_created_at", "promotions", ["state", "created_at"])
    op.create_table(
        "model_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("promotion_id", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("alias", sa.String(256), nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.String(20)),
        sa.Column("before", sa.String(20)),
        sa.Column("actor", sa.String(250), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(36)),
        sa.PrimaryKeyConstraint("number", name="pk_model_events"),
    )
    op.create_index("ix_model_events_model_alias_event_number", "model_events", ["model", "alias", "event", "number"])
    op.create_index("ix_model_events_promotion_id", "model_events", ["promotion_id"])
