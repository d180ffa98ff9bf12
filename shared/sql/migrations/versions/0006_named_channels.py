"""Alerts go to channels with names of the operator's, too."""

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
