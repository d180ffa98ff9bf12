"""GET /usage."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.access.authorisation import team_seen
from api.http.models import AnswerBody, Query
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from api.views.jobs.listing import Filter
from shared.access.roles import Right
from shared.jobs.monthly_usage import AttemptOutcome, Sums, UsageBy, UsageFilter, UsageLine

MONTHS = 12
MICROSECONDS_OF_AN_HOUR = 3600 * 10**6
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
OTHERS = [each for each in AttemptOutcome if each is not AttemptOutcome.SUCCEEDED]


class UsageQuery(Query):
    """Which months, whose, and told apart by what."""

    since: Month | None = Field(None, description="The first month, such as 2026-01; by default 11 before the last.")
    until: Month | None = Field(None, description="The last month; by default this one, in UTC.")
    by: UsageBy = Field(UsageBy.MODEL, description="What the rows are.")
    team: Filter | None = Field(None, description="Only jobs of this team.")
    model: Filter | None = Field(None, description="Only jobs of this registered model.")
    experiment: Filter | None = Field(None, description="Only jobs of this MLflow experiment.")
    limit: int = Field(100, ge=1, le=1000, description="Rows at most: those that used most.")


class Hours(AnswerBody):
    """What attempts used."""

    attempts: int = Field(description="Attempts that ended.")
    hours: float = Field(description="From each one's beginning, with its preparation, to its end.")
    gpu_hours: float = Field(description="Its hours, as often as it had GPUs.")
    cpu_hours: float = Field(description="Its hours, as often as its request asks for CPU cores (resources.cpus).")
    hours_without_cpus: float = Field(
        description="The hours of attempts whose request asks for no CPUs: what they used of their host is not known."
    )


class Wasted(Hours):
    """Of these, what did not lead to a result."""

    failed: int = Field(description="Attempts that failed.")
    cancelled: int = Field(description="Attempts that were cancelled.")
    lost: int = Field(description="Attempts whose host or container disappeared.")


class Usage(Hours):
    """What was used, for how long jobs waited for it, and what of it was wasted."""

    waited_hours: float = Field(
        description="From being queued to the attempt's beginning, or to the end of a job that had no other attempt."
    )
    wasted: Wasted


class UsageRow(Usage):
    """The usage of one name."""

    name: str | None = Field(description="The month, team, model or experiment; null for jobs that name none.")


class UsageReport(AnswerBody):
    """What was used in these months."""

    since: str
    until: str
    by: UsageBy
    rows: Sequence[UsageRow] = Field(description="Those that used most first; months in their order.")
    left_out: int = Field(description="Rows beyond the limit. The total has them, too.")
    total: Usage


@operation("GET /usage", Answer("The sums.", UsageReport), tag=Tag.JOBS, needs=Right.READ)
def get_usage(query: UsageQuery) -> UsageReport:
    """Get what trainings used, by month, team, model or experiment.

    An attempt counts in the month, in UTC, in which it ended; one that is under way does not count yet. The sums stay
    when jobs are deleted. A caller of a team, where teams are isolated, sees those of its own jobs.
    """
    until = query.until or f"{datetime.now(UTC):%Y-%m}"
    since = query.since or _before(until, MONTHS - 1)
    where = UsageFilter(since, until, query.by, query.team or team_seen(), query.model, query.experiment)
    may_see = team_seen() in (None, where.team)
    found = services().store.list_usage(where) if may_see else ()
    by_name = _by_name(found)
    rows = sorted((_row(name, of) for name, of in by_name.items()), key=_by_month if query.by == "month" else _by_size)
    shown = rows[: query.limit]
    total = usage_of(_by_outcome(found))
    return UsageReport(since=since, until=until, by=query.by, rows=shown, left_out=len(rows) - len(shown), total=total)


def usage_of(sums: Mapping[AttemptOutcome, Sums]) -> Usage:
    """Return the sums in hours."""
    wasted = [sums.get(each, Sums()) for each in OTHERS]
    numbers = {each.value: used.attempts for each, used in zip(OTHERS, wasted, strict=True)}
    everything = sum(sums.values(), Sums())
    return Usage(
        **_hours(everything),
        waited_hours=_in_hours(everything.waited),
        wasted=Wasted(**_hours(sum(wasted, Sums())), **numbers),
    )


def _by_name(lines: Iterable[UsageLine]) -> Mapping[str, list[UsageLine]]:
    found: defaultdict[str, list[UsageLine]] = defaultdict(list)
    for line in lines:
        found[line.name].append(line)
    return found


def _by_outcome(lines: Iterable[UsageLine]) -> Mapping[AttemptOutcome, Sums]:
    found: defaultdict[AttemptOutcome, Sums] = defaultdict(Sums)
    for line in lines:
        found[line.outcome] += line.sums
    return found


def _row(name: str, lines: Sequence[UsageLine]) -> UsageRow:
    return UsageRow(name=name or None, **dict(usage_of(_by_outcome(lines))))


def _by_month(row: UsageRow) -> tuple[str]:
    return (row.name or "",)


def _by_size(row: UsageRow) -> tuple[float, float, str]:
    return -row.gpu_hours, -row.hours, row.name or ""


def _hours(sums: Sums) -> dict[str, float]:
    return {
        "attempts": sums.attempts,
        "hours": _in_hours(sums.lasted),
        "gpu_hours": _in_hours(sums.gpu),
        "cpu_hours": _in_hours(sums.cpu),
        "hours_without_cpus": _in_hours(sums.without_cpus),
    }


def _in_hours(microseconds: int) -> float:
    return round(microseconds / MICROSECONDS_OF_AN_HOUR, 6)


def _before(month: str, months: int) -> str:
    year, number = int(month[:4]), int(month[5:])
    whole = max(0, year * 12 + number - 1 - months)
    return f"{whole // 12:04}-{whole % 12 + 1:02}"
