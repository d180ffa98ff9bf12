"""What trainings used, by month, team, model and experiment, and what of it was wasted."""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, request, url_for

from api.ui import charts
from api.ui.asking import ask, own_query
from api.ui.page import page
from api.ui.rendering import render
from api.views.usage import get_usage
from shared.jobs.monthly_usage import UsageBy

COLUMNS = ("attempts", "hours", "gpu_hours", "cpu_hours", "hours_without_cpus", "waited_hours")
WASTED = ("attempts", "failed", "cancelled", "lost", "hours", "gpu_hours", "cpu_hours")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # as which a spreadsheet would take a name


@page("GET /usage")
def usage() -> str:
    """Show a month's sums by what the address asks for, and the totals of the months up to it."""
    found = ask(get_usage, query=_asked())
    past = ask(get_usage, query={**_filters(), "by": UsageBy.MONTH, "until": found["until"]})
    most = max((row["hours"] for row in past["rows"]), default=0)
    months = [(row, _bar_of(row, most), _address(row["name"])) for row in past["rows"]]
    shown = {"by": found["by"], "since": found["since"], "until": found["until"]}
    return render(
        "usage.html",
        usage=found,
        months=list(reversed(months)),
        ways=[*UsageBy],
        shown=shown,
        as_csv=url_for("ui.usage_csv", **{**_filters(), **shown}),
        filters=_filters(),
    )


@page("GET /usage.csv")
def usage_csv() -> Response:
    """Send the same numbers as a table for other programs."""
    found = ask(get_usage, query={**_asked(), "limit": 1000})
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow([found["by"], *COLUMNS, *(f"wasted_{name}" for name in WASTED)])
    for row in found["rows"]:
        wasted = row["wasted"]
        table.writerow([_safe(row["name"] or ""), *(row[name] for name in COLUMNS), *(wasted[name] for name in WASTED)])
    name = f"usage-{found['by']}-{found['since']}-{found['until']}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(written.getvalue(), mimetype="text/csv", headers=headers)


def _asked() -> dict[str, Any]:
    """Return the address's query; without months, it is this one."""
    now = f"{datetime.now(UTC):%Y-%m}"
    asked = own_query()
    months = {"until": asked.get("until") or asked.get("since") or now}
    return {**asked, **months, "since": asked.get("since") or months["until"]}


def _filters() -> dict[str, Any]:
    return {name: request.args[name] for name in ("team", "model", "experiment") if request.args.get(name)}


def _address(month: str) -> str:
    by = request.args.get("by") or UsageBy.MODEL.value
    return url_for("ui.usage", **{**_filters(), "by": by, "since": month, "until": month})


def _bar_of(row: Mapping[str, Any], most: float) -> charts.Bar:
    wasted = row["wasted"]["hours"]
    parts = [
        charts.Part("with a result", row["hours"] - wasted, f"{row['hours'] - wasted:,.1f} h", "succeeded"),
        charts.Part("wasted", wasted, f"{wasted:,.1f} h", "failed"),
    ]
    return charts.bar(parts, total=most)


def _safe(name: str) -> str:
    """Return a name that no spreadsheet runs."""
    return f"'{name}" if name.startswith(FORMULAS) else name
