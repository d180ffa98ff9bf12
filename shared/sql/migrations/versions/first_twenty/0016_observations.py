"""What monitoring reports about champions: a table that older workers do not know."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "observations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("metric", sa.String(250), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(250), nullable=False),
        sa.Column("promotion_id", sa.String(36)),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_observations"),
    )
    once = ["model", "version", "metric", "at"]
    op.create_index("ix_observations_model_version_metric_at", "observations", once, unique=True)
    op.create_index("ix_observations_model_number", "observations", ["model", "number"])
    op.create_index("ix_observations_promotion_id_verdict", "observations", ["promotion_id", "verdict"])
    op.create_index("ix_observations_received_at", "observations", ["received_at"])
