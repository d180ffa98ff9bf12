"""Which fields of a request a host's worker knows: another version may know fewer than the API."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Workers of the version before say nothing of it, and go on."""
    op.add_column("workers", sa.Column("request_fields", sa.JSON(), nullable=True))
