"""Which machine has a host's name and which one runs an attempt; how often an attempt was given up in order."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Workers of the version before know none of it, and go on."""
    op.add_column("attempts", sa.Column("machine", sa.String(length=64), nullable=True))
    op.add_column("attempts", sa.Column("engine", sa.String(length=128), nullable=True))
    op.add_column("attempts", sa.Column("releases", sa.Integer(), server_default="0", nullable=False))
    op.add_column("workers", sa.Column("machine", sa.String(length=64), nullable=True))
    op.add_column("workers", sa.Column("engine", sa.String(length=128), nullable=True))
    op.add_column("workers", sa.Column("machine_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workers", sa.Column("machine_says", sa.Text(), nullable=True))
    op.add_column("workers", sa.Column("refused_says", sa.Text(), nullable=True))
    op.add_column("workers", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True))
