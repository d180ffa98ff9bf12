"""Whose each session of the page is, so that a token has a limited number. Older programs need not know."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("sessions", sa.Column("holder", sa.String(63)))
    op.create_index("ix_sessions_holder_created_at", "sessions", ["holder", "created_at"])
