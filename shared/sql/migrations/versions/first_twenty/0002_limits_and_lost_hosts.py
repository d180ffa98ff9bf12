"""Limits, GPUs by device, lost hosts and deletion of history; workers of the version before go on on these tables."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("gpus", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("retry_of", sa.String(length=36), nullable=True))
    op.add_column("jobs", sa.Column("had_secret", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(sa.text("UPDATE jobs SET had_secret = (secret IS NOT NULL)"))
    op.add_column("attempts", sa.Column("gpu_ids", sa.JSON(), nullable=True))
    op.add_column("workers", sa.Column("gpus", sa.JSON(), nullable=True))
    op.add_column("workers", sa.Column("closed_because", sa.String(length=40), nullable=True))
    op.add_column("workers", sa.Column("watching_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workers", sa.Column("has_left", sa.Boolean(), server_default=sa.false(), nullable=False))
    _index()


def _index() -> None:
    op.drop_index("ix_jobs_concurrency_key_state", "jobs")  # the longer one below begins with it
    in_order = ["concurrency_key", "state", "queue", "priority", "queued_at", "id"]
    op.create_index("ix_jobs_concurrency_key_state_queue_priority_queued_at_id", "jobs", in_order)
    op.create_index("ix_jobs_state_gpus", "jobs", ["state", "gpus"])
    op.create_index("ix_jobs_state_sent_at", "jobs", ["state", "sent_at"])
    op.create_index("ix_jobs_ended_at_id", "jobs", ["ended_at", "id"])
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"])
