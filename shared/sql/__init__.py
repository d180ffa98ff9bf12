"""Stores jobs in SQL: SQLite on one machine, PostgreSQL for many hosts."""

from shared.sql.claiming import Claiming
from shared.sql.hosts import Hosts
from shared.sql.outbox import Outbox
from shared.sql.queue_positions import QueuePositions
from shared.sql.reading import Reading
from shared.sql.sweeping import Sweeping
from shared.sql.test_notifications import Trials
from shared.sql.watching import Watching


class SqlStore(Reading, QueuePositions, Claiming, Sweeping, Hosts, Outbox, Trials, Watching):
    """A JobStore on SQLite or PostgreSQL."""
