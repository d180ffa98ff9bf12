"""What was used is summed by month as attempts end, and alerts keep why they were not sent.

Triggers keep the sums, in the transaction that ends an attempt, so that they are right whichever version of this
program writes. A later migration that copies `attempts` or `jobs` (Alembic's batch mode on SQLite) would lose them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

KEY = ("month", "team", "model", "experiment", "outcome")
KEY_IN_INDEX = ("month", "experiment", "model", "team", "outcome")
SUMS = ("attempts", "lasted", "gpu", "cpu", "without_cpus", "waited")
COLUMNS = ", ".join((*KEY, *SUMS))
SAME_KEY = " AND ".join(f"{name} = {{new}}.{name}" for name in KEY)
ADDED = ", ".join(f"{name} = {{kept}}.{name} + {{new}}.{name}" for name in SUMS)
VALUES = ", ".join(f"{{new}}.{name}" for name in (*KEY, *SUMS))
ENDED = "('succeeded', 'failed', 'cancelled')"

WHOSE = "coalesce(jobs.team, '') AS team, coalesce(jobs.model_name, '') AS model, jobs.experiment_name AS experiment"
OF_ATTEMPT = """
SELECT month, team, model, experiment, outcome, 1 AS attempts, lasted, lasted * gpus AS gpu,
    coalesce({whole}, 0) AS cpu, CASE WHEN cpus IS NULL THEN lasted ELSE 0 END AS without_cpus, waited
FROM (
    SELECT {month} AS month, {whose},
        CASE WHEN {row}.reason_code IS NULL THEN 'succeeded'
            WHEN {row}.reason_type = 'cancelled' THEN 'cancelled'
            WHEN {row}.reason_code IN ('HOST_LOST', 'CONTAINER_LOST') THEN 'lost'
            ELSE 'failed' END AS outcome,
        {lasted} AS lasted, jobs.gpus AS gpus, {cpus} AS cpus, {waited} AS waited
    FROM jobs {join}
) AS attempt
"""
OF_WAIT = """
SELECT {month} AS month, {whose}, jobs.state AS outcome, 0 AS attempts, 0 AS lasted, 0 AS gpu, 0 AS cpu,
    0 AS without_cpus, {waited} AS waited
FROM jobs {join}
"""
QUEUED_BEFORE = (
    "(SELECT max(at) FROM transitions WHERE transitions.job_id = attempts.job_id AND to_state = 'queued' "
    "AND at <= attempts.started_at)"
)
WAITED_IN_VAIN = f"JOIN transitions ON job_id = jobs.id AND from_state = 'queued' AND to_state IN {ENDED}"
IS_ENDED = "NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL"
HAS_WAITED = f"OLD.state = 'queued' AND NEW.state IN {ENDED} AND NEW.ended_at IS NOT NULL"

IN_SQLITE = (
    f"CREATE VIEW used AS SELECT {COLUMNS} FROM monthly_usage",  # noqa: S608 - text of our own
    f"""
CREATE TRIGGER used_is_added INSTEAD OF INSERT ON used BEGIN
    INSERT INTO monthly_usage ({COLUMNS}) SELECT {", ".join(f"NEW.{name}" for name in KEY)}, 0, 0, 0, 0, 0, 0
    WHERE NOT EXISTS (SELECT 1 FROM monthly_usage WHERE {SAME_KEY.format(new="NEW")});
    UPDATE monthly_usage SET {ADDED.format(kept="monthly_usage", new="NEW")} WHERE {SAME_KEY.format(new="NEW")};
END
""",  # noqa: S608 - text of our own
    f"""
CREATE TRIGGER attempts_are_used AFTER UPDATE OF ended_at ON attempts WHEN {IS_ENDED} BEGIN
    INSERT INTO used ({COLUMNS}) {{of_attempt}};
END
""",
    f"""
CREATE TRIGGER jobs_have_waited AFTER UPDATE OF state ON jobs WHEN {HAS_WAITED} BEGIN
    INSERT INTO used ({COLUMNS}) {{of_wait}};
END
""",
)
# Any row of the key will do, so one that nobody has locked: transactions never wait for each other here.
IN_POSTGRESQL = (
    # A request may contain what PostgreSQL cannot read as text (\u0000): that must not keep an attempt from ending.
    """
CREATE FUNCTION cpus_of(request json) RETURNS double precision LANGUAGE plpgsql AS $$ BEGIN
    RETURN CASE WHEN json_typeof(request -> 'resources' -> 'cpus') = 'number'
        THEN (request -> 'resources' ->> 'cpus')::double precision END;
EXCEPTION WHEN OTHERS THEN
    RETURN substring(request::text FROM '"resources": ?{[^{}]*"cpus": ?([0-9.]+)')::double precision;
END $$
""",
    f"""
CREATE FUNCTION add_usage(used monthly_usage) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE monthly_usage AS kept SET {ADDED.format(kept="kept", new="used")} WHERE kept.id =
        (SELECT id FROM monthly_usage WHERE {SAME_KEY.format(new="used")} LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO monthly_usage ({COLUMNS}) VALUES ({VALUES.format(new="used")});
    END IF;
END $$
""",  # noqa: S608 - text of our own
    """
CREATE FUNCTION attempts_are_used() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE used monthly_usage; BEGIN
    SELECT NULL, one.* INTO used FROM ({of_attempt}) AS one;
    PERFORM add_usage(used);
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION jobs_have_waited() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE used monthly_usage; BEGIN
    SELECT NULL, one.* INTO used FROM ({of_wait}) AS one;
    PERFORM add_usage(used);
    RETURN NULL;
END $$
""",
    f"""
CREATE TRIGGER attempts_are_used AFTER UPDATE OF ended_at ON attempts FOR EACH ROW
    WHEN ({IS_ENDED}) EXECUTE FUNCTION attempts_are_used()
""",
    f"""
CREATE TRIGGER jobs_have_waited AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN ({HAS_WAITED}) EXECUTE FUNCTION jobs_have_waited()
""",
)


def upgrade() -> None:
    """Apply. A million jobs take some minutes, in which nothing is written."""
    if _is_postgresql():
        op.execute("SET LOCAL statement_timeout = 0")  # the store's own limit is for its users
    _create_table()
    statements = IN_POSTGRESQL if _is_postgresql() else IN_SQLITE
    of_attempt = _of_attempt("NEW", "jobs.queued_at", "WHERE jobs.id = NEW.job_id")
    of_wait = _of_wait("WHERE jobs.id = NEW.id")
    for statement in statements:
        filled = statement.replace("{of_attempt}", of_attempt).replace("{of_wait}", of_wait)
        op.get_bind().exec_driver_sql(filled)
    _sum_up()
    for table in ("alerts", "model_alerts"):
        op.add_column(table, sa.Column("cause", sa.Text()))
        op.create_index(f"ix_{table}_at", table, ["at"])


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _create_table() -> None:
    number = sa.BigInteger()
    op.create_table(
        "monthly_usage",
        sa.Column("id", number.with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("team", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=250), nullable=False),
        sa.Column("experiment", sa.String(length=250), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        *(sa.Column(name, number, nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monthly_usage")),
    )
    for columns in (KEY_IN_INDEX, ("team", "month")):
        op.create_index(f"ix_monthly_usage_{'_'.join(columns)}", "monthly_usage", columns)


def _sum_up() -> None:
    """Sum up what is over. Nothing ends between the triggers and this, because the first trigger locks its table."""
    join = "JOIN attempts ON attempts.job_id = jobs.id AND attempts.ended_at IS NOT NULL"
    whole = f"WHERE jobs.state IN {ENDED} AND jobs.ended_at IS NOT NULL"
    both = f"{_of_attempt('attempts', QUEUED_BEFORE, join)} UNION ALL {_of_wait(f'{WAITED_IN_VAIN} {whole}')}"
    sums = ", ".join(f"sum({name})" for name in SUMS)
    summed = f"SELECT {', '.join(KEY)}, {sums} FROM ({both}) AS past GROUP BY {', '.join(KEY)}"  # noqa: S608 - text of our own
    op.get_bind().exec_driver_sql(f"INSERT INTO monthly_usage ({COLUMNS}) {summed}")


def _of_attempt(row: str, queued_at: str, join: str) -> str:
    return OF_ATTEMPT.format(
        row=row,
        month=_month(f"{row}.ended_at"),
        whose=WHOSE,
        lasted=_span(f"{row}.started_at", f"{row}.ended_at"),
        waited=_span(f"coalesce({queued_at}, {row}.started_at)", f"{row}.started_at"),
        cpus=_cpus(),
        whole="trunc(lasted * cpus)::bigint" if _is_postgresql() else "CAST(lasted * cpus AS INTEGER)",
        join=join,
    )


def _of_wait(join: str) -> str:
    waited = _span("jobs.queued_at", "jobs.ended_at")
    return OF_WAIT.format(month=_month("jobs.ended_at"), whose=WHOSE, waited=waited, join=join)


def _month(at: str) -> str:
    return f"to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM')" if _is_postgresql() else f"substr({at}, 1, 7)"


def _span(since: str, until: str) -> str:
    """Return the microseconds between; none if the clock was set back."""
    if _is_postgresql():
        return f"greatest(0, (extract(epoch FROM {until} - {since}) * 1000000)::bigint)"
    return f"max(0, {_microseconds(until)} - {_microseconds(since)})"


def _microseconds(at: str) -> str:
    """Return SQLite's text for a time as a number; strftime alone would round to a thousandth."""
    return f"(CAST(strftime('%s', substr({at}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({at}, 21, 6) AS INTEGER))"


def _cpus() -> str:
    if _is_postgresql():
        return "cpus_of(jobs.request)"
    path = "jobs.request, '$.resources.cpus'"
    return f"CASE WHEN json_type({path}) IN ('integer', 'real') THEN json_extract({path}) END"
