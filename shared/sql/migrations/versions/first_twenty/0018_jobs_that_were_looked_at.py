"""Which waiting jobs a worker has looked at: a column. Older workers leave it empty, and look at none."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("looked_at", sa.DateTime(timezone=True)))
