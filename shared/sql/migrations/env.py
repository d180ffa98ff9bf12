"""Alembic's environment: runs the migrations on the connection that shared.sql.schema passes in."""

from alembic import context

from shared.sql import model_tables
from shared.sql.access import tables as access_tables
from shared.sql.migrations.partial_indexes import metadata
from shared.sql.reports import tables as report_tables
from shared.sql.triggers import tables as trigger_tables

TABLES = (  # of each module one
    model_tables.observations,
    trigger_tables.triggers,
    access_tables.tokens,
    report_tables.monthly_usage,
)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,  # of all tables
    render_as_batch=True,  # SQLite alters a table by copying it
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
