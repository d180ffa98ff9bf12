"""The subcommand about the gate's rules: what other ones would have made of the recorded decisions."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ..client import Client
from ..plain_text import plain_line
from .job_file import read_fields_file
from .show import is_for_people, json_option, show_json, show_lines, show_table

DATE = re.compile(r"[0-9]{4}-")  # the rest of a time is for the service to check
AGE = re.compile(r"([0-9]{1,6})([dhw])")
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Since(click.ParamType[str | datetime]):
    """An age, such as 90d, or a time."""

    name = "since"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> str | datetime:
        """Return the time; one that is written out is checked by the service."""
        age = AGE.fullmatch(str(value))
        if not age and not DATE.match(str(value)):
            self.fail(f"{value} is neither an age, such as 90d, nor an RFC 3339 time, such as 2026-10-01T00:00:00Z.")
        try:
            return datetime.now(UTC) - int(age[1]) * UNITS[age[2]] if age else str(value)
        except OverflowError:
            self.fail(f"{value} is before all times.")


@click.group()
def gate() -> None:
    """Try the gate's rules on what it has decided.

    \b
    Examples:
      retrain gate replay --model iris-classifier --rules rules.yaml
    """


@gate.command()
@click.option("--model", required=True, metavar="NAME", help="The registered model.")
@click.option(
    "--rules",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON file with rules, as in promotion of a request.",
)
@click.option("--since", type=Since(), default="90d", show_default=True, metavar="AGE", help="An age, or a time.")
@json_option
@click.pass_obj
def replay(client: Client, /, *, model: str, file: Path, since: str | datetime, as_json: bool) -> None:
    """Make recorded decisions about a model again, under other rules; nothing is changed.

    The rules are laid over those that decided then: what the file does not name stays. A line is printed for each
    decision that would differ, and for each whose record does not say enough.

    Each decision meets the champion that it really met. No chain is simulated: if an earlier decision differs, later
    ones are shown as if it had not.

    \b
    Examples:
      retrain gate replay --model iris-classifier --rules rules.yaml
      retrain gate replay --model iris-classifier --rules rules.yaml --since 2026-09-01T00:00:00Z
    """
    found = client.replay(model, read_fields_file(file, "rules, such as min_delta: 0.01"), since=since)
    if as_json:
        show_json(found)
        return
    rows = [_row(each) for each in found["differing"]]
    if is_for_people() and rows:
        show_table(("at", "version", "met", "replay", "now", "was"), rows, empty="")
    else:
        show_lines(rows)
    click.echo(plain_line(_summary(found)), err=True)


def _row(line: dict[str, Any]) -> tuple[str, ...]:
    met, what = line["champion"] or "", line["outcome"].replace("_", " ")
    return (line["at"][:19], line["version"] or "", met, what, line["now"], line["was"])


def _summary(found: dict[str, Any]) -> str:
    promoted, refused, same = (found[name] for name in ("would_promote", "would_refuse", "same"))
    unknown = f"; of {found['unknown']} the record does not say enough" if found["unknown"] else ""
    more = "" if found["complete"] else " There are older ones; only the newest are replayed."
    ignored = f" Not part of a decision, and left out: {', '.join(found['ignored'])}." if found["ignored"] else ""
    counts = f"{promoted} would be promoted, {refused} refused, {same} are the same{unknown}"
    return f"Of {found['decisions']} decisions, {counts}.{more}{ignored}"
