"""Indexes that find the newest alerts of a channel and of a state. Older programs need not know."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A million alerts take some seconds, in which none is written."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")  # the store's own limit is for its users
    for table in ("alerts", "model_alerts"):
        for column in ("channel", "state"):
            op.create_index(f"ix_{table}_{column}_at", table, [column, "at"])
