"""Who moves an alias is alone with that for a while: a column of the promotions. Older workers leave it empty."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("promotions", sa.Column("moving_until", sa.DateTime(timezone=True)))
