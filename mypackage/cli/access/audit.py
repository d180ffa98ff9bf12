"""The subcommand audit: lists who did what, and verifies that the record is as it was written."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ...audit_chain import Anchor, Finding, verify
from ...client import Client
from ...plain_text import plain_line
from ..gate import Since
from ..show import age, is_for_people, json_option, show_json, show_lines, show_table

PEOPLE_COLUMNS = ("age", "caller", "action", "subject", "outcome", "reason")
COLUMNS = (
    "number",
    "at",
    "caller",
    "kind",
    "team",
    "action",
    "subject",
    "outcome",
    "reason",
    "address",
    "request_id",
)


class AnchorType(click.ParamType[Anchor]):
    """An entry's number and hash, as verify prints them."""

    name = "anchor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Anchor:
        """Read it."""
        number, _, hashed = str(value).partition(":")
        if not number.isdecimal() or len(hashed) != 64:
            self.fail("is an entry's NUMBER:HASH, as `retrain audit verify` prints it", param, ctx)
        return Anchor(int(number), hashed)


@click.group(invoke_without_command=True)
@click.option("--caller", metavar="NAME", help="Of this caller, such as env-1 or trigger:nightly.")
@click.option("--action", metavar="NAME", help="Of this operation, such as retrain, cancelJob or moveAlias.")
@click.option("--subject", metavar="KIND:NAME", help="About this, such as job:ID, model:NAME or host:NAME.")
@click.option("--outcome", type=click.Choice(["done", "refused", "failed"]), help="With this outcome.")
@click.option("--since", type=Since(), metavar="AGE", help="An age, or a time.")
@click.option("--until", type=Since(), metavar="AGE", help="An age, or a time.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def audit(ctx: click.Context, /, *, limit: int, as_json: bool, **where: Any) -> None:
    """List who did what, the newest first: every change, and every refusal. For administrators.

    In a pipe, it prints tab-separated lines.

    \b
    Examples:
      retrain audit
      retrain audit --caller env-1 --since 2d
      retrain audit --subject model:iris-classifier --json
      retrain audit --outcome refused
    """
    if ctx.invoked_subcommand is not None:
        return
    records = list(ctx.ensure_object(Client).audit(**where, limit=limit))
    if as_json:
        show_json(records)
    elif is_for_people():
        show_table(PEOPLE_COLUMNS, map(columns_for_people, records), empty="Nothing is recorded.")
    else:
        show_lines([[str(record[name] or "") for name in COLUMNS] for record in records])


@audit.command("verify")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--anchor", type=AnchorType(), metavar="NUMBER:HASH", help="An entry that must still be there as it was.")
@click.pass_context
def verify_audit(ctx: click.Context, file: Path | None, anchor: Anchor | None) -> None:
    """Follow the record's chain of hashes, and name the first place where it is broken; then, exit code 1.

    The chain shows what was changed, or taken out of it. That its end was cut off shows only an anchor: keep what this
    prints somewhere else. FILE is one that AUDIT_LOG names; without it, the whole record is read from the service.

    \b
    Examples:
      retrain audit verify
    """
    if file is None:
        found = verify(ctx.ensure_object(Client).audit(), anchor=anchor)
    else:
        found = verify(newest_first(file), anchor=anchor, is_whole=False)
    click.echo(plain_line(told(found)))
    if found.problem:
        ctx.exit(1)


def newest_first(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a file, in which those of two processes may stand in another order."""
    try:
        records = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        yield from sorted(records, key=lambda each: int(each["number"]), reverse=True)
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{file} is not a file of AUDIT_LOG: a line has no entry as JSON.") from error


def told(found: Finding) -> str:
    """Return what was found, as a sentence."""
    if found.problem:
        return f"The record is not as it was written: {found.problem}."
    if found.head is None:
        return "Nothing is recorded."
    count = f"{found.entries} entries, from {found.first} to {found.head.number}"
    return f"{count}: each follows on the one before. Anchor: {found.head.number}:{found.head.hash}"


def columns_for_people(record: dict[str, Any]) -> Sequence[str]:
    """Return an entry as a row of the table."""
    return (age(record["at"]), *(str(record[name] or "") for name in PEOPLE_COLUMNS[1:]))
