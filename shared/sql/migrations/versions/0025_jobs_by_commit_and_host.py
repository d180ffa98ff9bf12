"""Indexes that find the newest jobs of a commit and of a host. Older programs need not know."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A million jobs take some seconds, in which nothing is written."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")  # the store's own limit is for its users
    known = sa.text("commit_sha IS NOT NULL")
    op.create_index(
        "ix_jobs_commit_sha_created_at_id",
        "jobs",
        ["commit_sha", "created_at", "id"],
        postgresql_where=known,
        sqlite_where=known,
    )
    op.create_index("ix_jobs_host_created_at_id", "jobs", ["host", "created_at", "id"])
    op.create_index("ix_jobs_host_state_created_at_id", "jobs", ["host", "state", "created_at", "id"])
    op.drop_index("ix_jobs_host_state", "jobs")  # the longer one begins with it
