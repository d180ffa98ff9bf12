"""Jobs wait in the order in which they were made, so that one that is tried again keeps its place: indexes for that."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A million jobs take some seconds, in which nothing is written; workers of the version before go on."""
    queued = sa.text("state = 'queued'")
    in_order = map(sa.text, ("priority DESC", "created_at", "id"))
    op.create_index("ix_jobs_waiting_in_order", "jobs", [*in_order], postgresql_where=queued, sqlite_where=queued)
    by_queue = ["state", "queue", "priority", "created_at"]
    op.create_index("ix_jobs_state_queue_priority_created_at", "jobs", by_queue)
    by_key = ["concurrency_key", "state", "queue", "priority", "created_at", "id"]
    op.create_index("ix_jobs_concurrency_key_state_queue_priority_created_at_id", "jobs", by_key)
    op.drop_index("ix_jobs_waiting", "jobs")
    op.drop_index("ix_jobs_state_queue_priority_queued_at", "jobs")
    op.drop_index("ix_jobs_concurrency_key_state_queue_priority_queued_at_id", "jobs")
