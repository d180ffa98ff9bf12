"""The job store in SQL: SQLite on one machine, PostgreSQL for many hosts."""

from shared.sql.claiming import Claiming
from shared.sql.reading import Reading
from shared.sql.sweeping import Sweeping


class SqlStore(Reading, Claiming, Sweeping):
    """A JobStore on SQLite or PostgreSQL."""
