"""The id of the request that made a job; workers of the version before read and write jobs without it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("request_id", sa.String(length=64), nullable=True))
