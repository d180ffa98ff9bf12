"""The subcommand that tells what policies would have started."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ...client import Client
from ...plain_text import plain_line
from ..gate import Since
from ..show import is_for_people, json_option, show_json, show_lines, show_table
from .files import read_candidates
from .history import changes_of

COLUMNS = (
    "policy",
    "jobs",
    "skipped",
    "waited",
    "GPU hours",
    "CPU hours",
    "data at most so old",
    "model at most so old",
)
FIELDS = ("template", "when", "policy", "policies")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--since", type=Since(), default="90d", show_default=True, metavar="AGE", help="An age, or a time.")
@click.option("--git", "data", metavar="REPOSITORY", help="The data's git repository, a folder or URL: its history.")
@click.option("--code", metavar="REPOSITORY", help="The code's git repository, likewise.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT", help="Write a picture there.")
@json_option
@click.pass_obj
def backtest(
    client: Client,
    /,
    *,
    file: Path,
    since: datetime | str,
    data: str | None,
    code: str | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Tell what a trigger would have started since then, under its policy and others; nothing is changed.

    FILE is as for `retrain triggers add`. Other policies stand in it, too: as policies: {weekly: {cooldown: 604800}}.

    The history of a repository is read here, by your git. Without it, the service takes what past jobs trained on. How
    long a job takes is the median of those that succeeded.

    \b
    Examples:
      retrain triggers backtest nightly.yaml --since 90d
      retrain triggers backtest nightly.yaml --git . --svg nightly.svg
    """
    trigger = read_candidates(file)
    repositories = [(each, of) for each, of in ((data, "data"), (code, "code")) if each]
    changes = [change for each, of in repositories for change in changes_of(each, since=since, of=of)]
    asked = {name: trigger[name] for name in FIELDS if name in trigger}
    found = client.triggers.backtest(trigger["name"], since=since, changes=changes, **asked)
    if svg is not None:
        svg.write_text(found["picture"], encoding="utf-8")
    if as_json:
        show_json(found)
        return
    rows = [_row(name, result) for name, result in found["policies"].items()]
    if is_for_people():
        show_table(COLUMNS, rows, empty="")
    else:
        show_lines(rows)
    click.echo(plain_line(_known(found)), err=True)


def _row(name: str, result: dict[str, Any]) -> tuple[str, ...]:
    ages = (_age(result["longest_without_change_seconds"]), _age(result["oldest_data_seconds"]))
    hours = (_hours(result["gpu_hours"]), _hours(result["cpu_hours"]))
    return (name, str(result["jobs"]), _counts(result["skipped"]), _counts(result["waited"]), *hours, *ages)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in counts.items()) or "0"


def _hours(hours: float | None) -> str:
    return "unknown" if hours is None else f"{hours:.1f}"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} d"


def _known(found: dict[str, Any]) -> str:
    length = found["job_seconds"]
    job = f"A job takes {length:.0f} s" if length is not None else "No past job says how long one takes"
    changes = f"{found['data_changes']} changes of the data and {found['code_changes']} of the code are known"
    return f"From {found['since'][:16]}Z to {found['until'][:16]}Z. {job}; {changes}."
