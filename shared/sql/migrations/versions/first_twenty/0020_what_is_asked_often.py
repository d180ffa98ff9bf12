"""What is asked often is kept beside the jobs: indexes and facts for lists and positions, and counts of ended jobs.

A label's row has its job's time and state, so that an index finds the newest jobs of a label in a state. How many jobs
have ended is counted as they end, because counting a million takes too long for each scrape. Triggers keep both, so
that they are right whichever version of this program writes. A later migration that copies `jobs` or `labels`
(Alembic's batch mode on SQLite) would lose the triggers.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

FILL = """
UPDATE labels SET created_at = jobs.created_at, state = jobs.state FROM jobs WHERE jobs.id = labels.job_id
"""
LABELS_IN_SQLITE = (
    """
CREATE TRIGGER labels_when_and_state AFTER INSERT ON labels WHEN NEW.created_at IS NULL OR NEW.state IS NULL BEGIN
    UPDATE labels SET (created_at, state) = (SELECT created_at, state FROM jobs WHERE id = NEW.job_id)
    WHERE job_id = NEW.job_id AND name = NEW.name;
END
""",
    """
CREATE TRIGGER jobs_state_of_labels AFTER UPDATE OF state ON jobs WHEN NEW.state <> OLD.state BEGIN
    UPDATE labels SET state = NEW.state WHERE job_id = NEW.id;
END
""",
)
LABELS_IN_POSTGRESQL = (
    """
CREATE FUNCTION labels_when_and_state() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    SELECT created_at, state INTO NEW.created_at, NEW.state FROM jobs WHERE id = NEW.job_id;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER labels_when_and_state BEFORE INSERT ON labels FOR EACH ROW
    WHEN (NEW.created_at IS NULL OR NEW.state IS NULL) EXECUTE FUNCTION labels_when_and_state()
""",
    """
CREATE FUNCTION jobs_state_of_labels() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE labels SET state = NEW.state WHERE job_id = NEW.id;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER jobs_state_of_labels AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION jobs_state_of_labels()
""",
)

ENDED = "('succeeded', 'failed', 'cancelled')"
COUNT = (
    "INSERT INTO ended_counts (state, number) SELECT state, count(*) FROM jobs WHERE state IN {ended} GROUP BY state"
)
COUNTS_IN_SQLITE = """
CREATE TRIGGER jobs_count_{name} AFTER {event} ON jobs WHEN {row}.state IN {ended} {only_if} BEGIN
    INSERT INTO ended_counts (state, number)
    SELECT {row}.state, 0 WHERE NOT EXISTS (SELECT 1 FROM ended_counts WHERE state = {row}.state);
    UPDATE ended_counts SET number = number {change} WHERE state = {row}.state;
END
"""
MOVES = "AND NEW.state <> OLD.state"
COUNTED_EVENTS = (
    {"name": "added", "event": "INSERT", "row": "NEW", "change": "+ 1", "only_if": ""},
    {"name": "deleted", "event": "DELETE", "row": "OLD", "change": "- 1", "only_if": ""},
    {"name": "ended", "event": "UPDATE OF state", "row": "NEW", "change": "+ 1", "only_if": MOVES},
    {"name": "left", "event": "UPDATE OF state", "row": "OLD", "change": "- 1", "only_if": MOVES},
)
# Any row of the state will do, so one that nobody has locked: transactions never wait for each other here. There are
# as many rows of a state as jobs have ended in it at the same moment.
COUNTS_IN_POSTGRESQL = (
    """
CREATE FUNCTION count_ended(of_state varchar, change integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE ended_counts SET number = number + change
    WHERE id = (SELECT id FROM ended_counts WHERE state = of_state LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO ended_counts (state, number) VALUES (of_state, change);
    END IF;
END $$
""",
    """
CREATE FUNCTION jobs_count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state IN {ended} THEN
        PERFORM count_ended(OLD.state, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state IN {ended} THEN
        PERFORM count_ended(NEW.state, 1);
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER jobs_count_added AFTER INSERT ON jobs FOR EACH ROW
    WHEN (NEW.state IN {ended}) EXECUTE FUNCTION jobs_count()
""",
    """
CREATE TRIGGER jobs_count_deleted AFTER DELETE ON jobs FOR EACH ROW
    WHEN (OLD.state IN {ended}) EXECUTE FUNCTION jobs_count()
""",
    """
CREATE TRIGGER jobs_count_ended AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND (OLD.state IN {ended} OR NEW.state IN {ended})) EXECUTE FUNCTION jobs_count()
""",
)


def upgrade() -> None:
    """Apply. A million jobs with two labels each take some minutes, in which nothing is written."""
    if _is_postgresql():
        op.execute("SET LOCAL statement_timeout = 0")  # the store's own limit is for its users
    _index_jobs()
    _keep_facts_of_labels()
    _count_ended()


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _index_jobs() -> None:
    for filters in ((), ("model_name",), ("experiment_name",)):
        columns = [*filters, "state", "created_at", "id"]
        op.create_index(f"ix_jobs_{'_'.join(columns)}", "jobs", columns)
    queued = sa.text("state = 'queued'")
    in_order = [*map(sa.text, ("queue", "priority DESC", "created_at", "id", "queued_at"))]
    op.create_index("ix_jobs_waiting_by_queue", "jobs", in_order, postgresql_where=queued, sqlite_where=queued)


def _keep_facts_of_labels() -> None:
    op.add_column("labels", sa.Column("created_at", sa.DateTime(timezone=True)))
    op.add_column("labels", sa.Column("state", sa.String(length=16)))
    for statement in LABELS_IN_POSTGRESQL if _is_postgresql() else LABELS_IN_SQLITE:
        op.execute(sa.text(statement))
    op.drop_index("ix_labels_name_value", "labels")  # longer ones below begin with it
    op.execute(sa.text(FILL))
    for filters in (("name",), ("name", "value"), ("name", "state"), ("name", "value", "state")):
        columns = [*filters, "created_at", "job_id"]
        op.create_index(f"ix_labels_{'_'.join(columns)}", "labels", columns)


def _count_ended() -> None:
    """Count them. None ends between the triggers and the count, because the first trigger locks the table."""
    op.create_table(
        "ended_counts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_counts")),
    )
    not_ended = sa.text(f"state NOT IN {ENDED}")
    op.create_index("ix_jobs_not_ended", "jobs", ["state"], postgresql_where=not_ended, sqlite_where=not_ended)
    if _is_postgresql():
        statements = [each.format(ended=ENDED) for each in COUNTS_IN_POSTGRESQL]
    else:
        statements = [COUNTS_IN_SQLITE.format(ended=ENDED, **each) for each in COUNTED_EVENTS]
    for statement in (*statements, COUNT.format(ended=ENDED)):
        op.execute(sa.text(statement))
