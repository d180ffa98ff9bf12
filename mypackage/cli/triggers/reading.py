"""The subcommands that read triggers, and say why one fired or did not."""

from collections.abc import Sequence
from typing import Any

import click

from ...client import Client
from ...plain_text import plain_line
from ..show import is_for_people, json_option, show_facts, show_json, show_lines, show_table
from .saying import condition, plainly, tell, why

LIST_COLUMNS = ("name", "state", "when", "fired", "looks next", "file")
EVENT_COLUMNS = ("at", "outcome", "times", "job", "reason")

name_argument = click.argument("name", metavar="NAME")


@click.command("list")
@json_option
@click.pass_obj
def list_triggers(client: Client, as_json: bool) -> None:
    """List the triggers. In a pipe: a line each, with tabs between the columns.

    \b
    Examples:
      retrain triggers list
      retrain triggers list --json
    """
    found = client.triggers.all()
    if as_json:
        show_json(found)
        return
    if is_for_people() and (pause := client.triggers.pause_of_all()):
        tell(f"No trigger fires: paused since {pause['since'][:19]}Z. {pause['reason']}")
    rows = [_row(each) for each in found]
    _show(LIST_COLUMNS, rows, empty="There are no triggers.")


@click.command()
@name_argument
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """Show a trigger: what it does, what happened last, and what comes next.

    \b
    Examples:
      retrain triggers show iris-nightly
    """
    found = client.triggers.get(name)
    if as_json:
        show_json(found)
        return
    rows = [(name, plain_line(value)) for name, value in _facts(found) if value]
    if is_for_people():
        show_facts(rows)
    else:
        for label, value in rows:
            click.echo(f"{label}: {value}")


@click.command("why")
@name_argument
@click.option("--at", metavar="TIME", help="What was known then, such as 2026-11-01T00:00:00Z; by default now.")
@click.pass_obj
def tell_why(client: Client, name: str, at: str | None) -> None:
    """Say in words why a trigger did, or did not, fire last, and what comes next.

    \b
    Examples:
      retrain triggers why iris-nightly
      retrain triggers why iris-nightly --at 2026-11-01T03:00:00Z
    """
    trigger = client.triggers.get(name)
    events = client.triggers.events(name, until=at, limit=1)
    for sentence in why(trigger, events[0] if events else None, at=at):
        tell(sentence)


@click.command()
@name_argument
@click.option("--until", metavar="TIME", help="Only what was known at this RFC 3339 time.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@json_option
@click.pass_obj
def events(client: Client, name: str, until: str | None, limit: int, as_json: bool) -> None:
    """Tell what happened to a trigger and what became of it, the newest first.

    \b
    Examples:
      retrain triggers events iris-nightly
      retrain triggers events iris-nightly --limit 5 --json
    """
    found = client.triggers.events(name, until=until, limit=limit)
    if as_json:
        show_json(found)
        return
    rows = [
        (each["last_at"][:19], each["outcome"], str(each["times"]), each["job_id"] or "", each["reason"])
        for each in found
    ]
    _show(EVENT_COLUMNS, rows, empty="Nothing has happened yet.")


def _show(names: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    if is_for_people():
        show_table(names, rows, empty=empty)
    else:
        show_lines(rows)


def _row(trigger: dict[str, Any]) -> tuple[str, ...]:
    fired, looks = ((trigger[name] or "")[:19] for name in ("fired_at", "look_at"))
    looks = looks if trigger["state"] == "active" else ""
    return (trigger["name"], trigger["state"], condition(trigger), fired, looks, trigger["source"] or "")


def _facts(trigger: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a person wants to know about a trigger; empty values are left out."""
    template, policy = trigger["template"], trigger["policy"]
    _, *others = why(trigger, trigger["last_event"])
    return [
        ("trigger", trigger["name"]),
        ("state", trigger["state"]),
        ("when", condition(trigger)),
        ("policy", ", ".join(f"{name} {plainly(value)}" for name, value in policy.items())),
        ("experiment", str(template.get("experiment_name", ""))),
        ("source", f"{template.get('git_uri', '')} {template.get('commit_hash', '')}".strip()),
        ("file", trigger["source"] or ""),
        ("credentials", "kept" if trigger["has_credentials"] else ""),
        ("fired", trigger["fired_at"] or ""),
        ("version", f"{trigger['version']}, of {trigger['changed_at'][:19]}Z"),
        ("now", " ".join(others)),
    ]
