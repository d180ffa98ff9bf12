"""Which host a job asks for, what a host is labelled with, and whether it takes anything new."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("wanted_host", sa.String(length=255), nullable=True))
    op.add_column("jobs", sa.Column("wanted_labels", sa.String(length=1300), server_default="", nullable=False))
    op.add_column("workers", sa.Column("labels", sa.JSON(), nullable=True))
    op.add_column("workers", sa.Column("drained_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workers", sa.Column("drain_reason", sa.Text(), nullable=True))
