"""Alerts go to channels with names of the operator's, too, and a test message to each of them can be asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("alerts") as alerts:
        alerts.alter_column("channel", existing_type=sa.String(length=16), type_=sa.String(length=63))
    op.create_table(
        "alert_trials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_trials")),
    )
