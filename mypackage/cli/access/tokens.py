"""The subcommands tokens and whoami. A secret goes to stdout alone, and all else about it to stderr."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from ...client import Client
from ...plain_text import plain_line
from ..show import age, is_for_people, json_option, show_json, show_lines, show_table

HOURS = {"h": 1.0, "d": 24.0}
DURATION = re.compile(r"^(\d{1,6})([hd])$")
ROLES = ("viewer", "submitter", "operator", "approver", "admin")
PEOPLE_COLUMNS = ("name", "state", "roles", "team", "begins", "last use", "expires", "by")

name_argument = click.argument("name", metavar="NAME")


class Hours(click.ParamType[float]):
    """A number of hours or days."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in hours."""
        if isinstance(value, float):
            return value
        found = DURATION.match(str(value))
        if found is None:
            self.fail("is a number of hours or days, such as 24h or 90d", param, ctx)
        return int(found[1]) * HOURS[found[2]]


@click.group()
def tokens() -> None:
    """Make, list, rotate and revoke tokens, by which people and programs are known. For administrators.

    \b
    Examples:
      retrain tokens create ann --role admin
      retrain tokens create ci --role submitter --team vision --expires 90d
      retrain tokens list
    """


@tokens.command()
@name_argument
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be repeated.")
@click.option("--team", metavar="TEAM", help="Whose jobs, triggers and models; all teams' without it.")
@click.option("--expires", type=Hours(), metavar="AGE", help="When it ends, such as 90d; never without it.")
@json_option
@click.pass_obj
def create(
    client: Client, name: str, roles: Sequence[str], team: str | None, expires: float | None, as_json: bool
) -> None:
    """Make a token. It is shown once: only the service's answer has it.

    In a pipe, stdout has the token and nothing else.

    \b
    Examples:
      retrain tokens create ci --role submitter --team vision --expires 90d
      retrain tokens create ann --role operator --role approver
    """
    made = client.tokens.create(name, roles, team=team, expires_in_days=expires / HOURS["d"] if expires else None)
    show_secret(made, f"Token {name} is made.", as_json=as_json)


@tokens.command()
@name_argument
@click.option("--overlap", type=Hours(), default=0.0, metavar="AGE", help="How long the old one opens still: 24h.")
@json_option
@click.pass_obj
def rotate(client: Client, name: str, overlap: float, as_json: bool) -> None:
    """Replace a token by a new one for the same holder, with the same roles.

    \b
    Examples:
      retrain tokens rotate ci
      retrain tokens rotate ci --overlap 24h
    """
    made = client.tokens.rotate(name, overlap_hours=overlap)
    until = f"; the one before opens for {overlap:g} hours still" if overlap else "; the one before opens nothing"
    show_secret(made, f"Token {name} has a new secret{until}.", as_json=as_json)


@tokens.command()
@name_argument
@json_option
@click.pass_obj
def revoke(client: Client, name: str, as_json: bool) -> None:
    """Let nobody in by a token any more. Its name is not given again.

    \b
    Examples:
      retrain tokens revoke ci
    """
    token = client.tokens.revoke(name)
    if as_json:
        show_json(token)
    else:
        tell(f"Token {name} is revoked.")


@tokens.command("list")
@json_option
@click.pass_obj
def list_tokens(client: Client, as_json: bool) -> None:
    """List all tokens, also those that open nothing any more.

    In a pipe, it prints tab-separated lines.

    \b
    Examples:
      retrain tokens list
      retrain tokens list --json
    """
    found = client.tokens.all()
    if as_json:
        show_json(found)
    elif is_for_people():
        show_table(PEOPLE_COLUMNS, map(columns_for_people, found), empty="There are no tokens yet.")
    else:
        show_lines([columns(each) for each in found])


@click.command()
@json_option
@click.pass_obj
def whoami(client: Client, as_json: bool) -> None:
    """Say who you are to the service, and what you may do.

    \b
    Examples:
      retrain whoami
    """
    caller = client.whoami()
    if as_json:
        show_json(caller)
        return
    of = f"team {caller['team']}" if caller["team"] else "all teams"
    click.echo(plain_line(f"{caller['name']}: {', '.join(caller['roles']) or 'no role'}, of {of} ({caller['kind']})"))


def show_secret(token: dict[str, Any], said: str, *, as_json: bool) -> None:
    """Print a token that is shown once."""
    if as_json:
        show_json(token)
        return
    tell(f"{said} Keep it now: it cannot be shown again. Programs read it from RETRAIN_TOKEN.")
    click.echo(plain_line(token["token"]))
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print a line beside what a pipe gets."""
    click.echo(plain_line(text), err=True)


def columns(token: dict[str, Any]) -> Sequence[str]:
    """Return a token as a row."""
    return (
        token["name"],
        token["state"],
        ",".join(token["roles"]),
        token["team"] or "",
        token["hint"],
        token["used_at"] or "",
        token["expires_at"] or "",
        token["created_by"],
    )


def columns_for_people(token: dict[str, Any]) -> Sequence[str]:
    """Return a token as a row of the table: how long ago it was used, and the day on which it ends."""
    name, state, roles, team, hint, used, expires, by = columns(token)
    return (name, state, roles, team, f"{hint}…", age(used) if used else "never", expires[:10], by)
