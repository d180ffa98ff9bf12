"""Alembic's environment: runs the migrations on the connection that shared.sql.schema passes in."""

from alembic import context

from shared.sql.model_tables import observations

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=observations.metadata,  # of all tables
    render_as_batch=True,  # SQLite alters a table by copying it
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
