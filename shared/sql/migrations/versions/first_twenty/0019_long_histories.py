"""Indexes for long histories of models: the newest events of a model or an alias, and the few broken observations."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. A million events take some seconds, in which nothing is written; workers of the version before go on."""
    op.create_index("ix_model_events_model_number", "model_events", ["model", "number"])
    op.create_index("ix_model_events_model_alias_number", "model_events", ["model", "alias", "number"])
    by_verdict = ["verdict", "promotion_id", "number"]
    op.create_index("ix_observations_verdict_promotion_id_number", "observations", by_verdict)
    op.drop_index("ix_observations_promotion_id_verdict", "observations")
