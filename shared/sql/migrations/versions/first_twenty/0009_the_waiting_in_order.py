"""Indexes for long queues and long histories: who waits, in order; and the newest jobs of an experiment or a model."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A million jobs take some seconds, in which nothing is written."""
    queued = sa.text("state = 'queued'")
    in_order = map(sa.text, ("priority DESC", "queued_at", "id"))
    op.create_index("ix_jobs_waiting", "jobs", [*in_order], postgresql_where=queued, sqlite_where=queued)
    op.create_index("ix_jobs_experiment_name_created_at_id", "jobs", ["experiment_name", "created_at", "id"])
    op.create_index("ix_jobs_model_name_created_at_id", "jobs", ["model_name", "created_at", "id"])
