"""Stores jobs in SQL: SQLite on one machine, PostgreSQL for many hosts."""

from shared.sql.access.audit import Audit
from shared.sql.access.model_teams import ModelTeams
from shared.sql.access.sessions import Sessions
from shared.sql.access.tokens import Tokens
from shared.sql.access.waiting import Queues
from shared.sql.claiming import Claiming
from shared.sql.hosts import Hosts
from shared.sql.observations import Observations
from shared.sql.outbox import Outbox
from shared.sql.promotions import Promotions
from shared.sql.queue_positions import QueuePositions
from shared.sql.reading import Reading
from shared.sql.reports.monthly_usage import MonthlyUsage
from shared.sql.reports.told_alerts import ToldAlerts
from shared.sql.sweeping import Sweeping
from shared.sql.test_notifications import Trials
from shared.sql.triggers.looking import Looking
from shared.sql.triggers.people import People
from shared.sql.watching import Watching


class SqlStore(
    Audit,
    Reading,
    QueuePositions,
    Claiming,
    Sweeping,
    Hosts,
    Outbox,
    Promotions,
    Observations,
    People,
    Looking,
    Trials,
    Tokens,
    Sessions,
    ModelTeams,
    Queues,
    MonthlyUsage,
    ToldAlerts,
    Watching,
):
    """A JobStore, with the record of promotions and of triggers, on SQLite or PostgreSQL."""
