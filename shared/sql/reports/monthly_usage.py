"""Reads what was used. The database itself keeps the sums, by triggers, as each attempt ends (migration 0024)."""

from collections.abc import Sequence
from dataclasses import fields

import sqlalchemy as sa

from shared.jobs.monthly_usage import Sums, UsageFilter, UsageLine
from shared.sql.engine import Database
from shared.sql.reports.tables import monthly_usage as kept

SUMMED = [field.name for field in fields(Sums)]


class MonthlyUsage(Database):
    """The part of the JobStore about what was used."""

    def list_usage(self, where: UsageFilter) -> Sequence[UsageLine]:
        """Return the sums by name and outcome."""
        name = kept.c[where.by.value]
        sums = [sa.func.sum(kept.c[each]).label(each) for each in SUMMED]
        found = sa.select(name.label("name"), kept.c.outcome, *sums).where(*_matches(where))
        with self.reading() as transaction:
            rows = transaction.all(found.group_by(name, kept.c.outcome))
        lines = [UsageLine(row.name, row.outcome, Sums(*(int(getattr(row, each)) for each in SUMMED))) for row in rows]
        return sorted(lines, key=lambda line: (line.name, line.outcome))


def _matches(where: UsageFilter) -> list[sa.ColumnElement[bool]]:
    of = {name: getattr(where, name) for name in ("team", "model", "experiment")}
    same = [kept.c[name] == value for name, value in of.items() if value is not None]
    return [kept.c.month.between(where.first, where.last), *same]
