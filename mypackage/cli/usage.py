"""The subcommand usage: what trainings used, by model, team, experiment or month."""

from collections.abc import Sequence
from typing import Any

import click

from ..client import Client
from .show import is_for_people, json_option, show_json, show_lines, show_table

WAYS = ("model", "team", "experiment", "month")
HOURS = ("hours", "gpu_hours", "cpu_hours", "waited_hours")
PEOPLE_COLUMNS = ("attempts", "hours", "GPU-hours", "CPU-hours", "waited", "wasted", "failed", "cancelled", "lost")


@click.command()
@click.option("--by", type=click.Choice(WAYS), default="model", show_default=True, help="What the rows are.")
@click.option("--since", metavar="MONTH", help="The first month, such as 2026-01; by default 11 before the last.")
@click.option("--until", metavar="MONTH", help="The last month; by default this one, in UTC.")
@click.option("--team", metavar="NAME", help="Of this team's jobs.")
@click.option("--model", metavar="NAME", help="Of jobs of this registered model.")
@click.option("--experiment", metavar="NAME", help="Of jobs of this MLflow experiment.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many rows.")
@json_option
@click.pass_obj
def usage(client: Client, /, *, as_json: bool, **asked: Any) -> None:
    """Sum up what trainings used, those that used most first: attempts, hours, what they waited, and what was wasted.

    An attempt counts in the month, in UTC, in which it ended. Wasted are the hours of attempts that failed, were
    cancelled, or lost their host or container. In a pipe, it prints tab-separated lines, without the total.

    \b
    Examples:
      retrain usage
      retrain usage --by team --since 2026-01
      retrain usage --by month --model iris-classifier --json
    """
    report = client.usage(**asked)
    rows = [(row["name"] or "", *columns(row)) for row in report["rows"]]
    if as_json:
        show_json(report)
    elif is_for_people():
        total = [("in all", *columns(report["total"]))] if rows else []
        names = [(name or "(none)", *numbers) for name, *numbers in rows]
        show_table((report["by"], *PEOPLE_COLUMNS), names + total, empty="Nothing was used in these months.")
        if report["left_out"]:
            click.echo(f"{report['left_out']} more rows are in the sum only; --limit shows more.")
    else:
        show_lines(rows)


def columns(used: dict[str, Any]) -> Sequence[str]:
    """Return the numbers of a row, in the order of the table."""
    wasted = used["wasted"]
    hours = [f"{value:.2f}" for value in (*(used[name] for name in HOURS), wasted["hours"])]
    return (str(used["attempts"]), *hours, *(str(wasted[name]) for name in ("failed", "cancelled", "lost")))
