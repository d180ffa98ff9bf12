"""The subcommands that write triggers from files."""

from pathlib import Path
from typing import Any

import click

from ...client import Client, Refused
from ...plain_text import plain_line
from ..show import json_option, show_json
from .files import read_folder, read_trigger
from .saying import condition, tell


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Change the trigger of that name, if there is one.")
@json_option
@click.pass_obj
def add(client: Client, path: Path, replace: bool, as_json: bool) -> None:
    """Add the trigger that a YAML file describes: name, template, when and policy.

    ${TRIGGER_…} in it stands for a variable, so that a token need not be in the file.

    \b
    Examples:
      retrain triggers add nightly.yaml
      retrain triggers add nightly.yaml --replace
    """
    trigger = read_trigger(path)
    name = trigger["name"]
    exists = replace and name in {each["name"] for each in client.triggers.all()}
    written = client.triggers.change(name, **_unnamed(trigger)) if exists else client.triggers.add(**trigger)
    if as_json:
        show_json(written)
        return
    tell(f"Trigger {name}, version {written['version']}: {condition(written)}.")
    tell_secret(written)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option("--prune", is_flag=True, help="Delete triggers that are not in the folder.")
@click.pass_obj
def apply(client: Client, folder: Path, dry_run: bool, prune: bool) -> None:
    """Make the triggers those of a folder of YAML files, one each.

    Nothing is changed if a file is wrong. Triggers that are not in the folder stay, unless --prune is given; those of
    the service's own folder (its TRIGGERS_DIR) stay in any case.

    \b
    Examples:
      retrain triggers apply triggers --dry-run
      retrain triggers apply triggers --prune
    """
    wanted = read_folder(folder)
    plans = {name: _checked(client, trigger) for name, trigger in wanted.items()}
    known = client.triggers.all() if prune else []
    gone = [each["name"] for each in known if each["name"] not in wanted and each["source"] is None]
    for name, plan in plans.items():
        tell_plan(plan)
        if dry_run or plan["action"] == "nothing":
            continue
        create = plan["action"] == "create"
        fields = _unnamed(wanted[name])
        tell_secret(client.triggers.add(**wanted[name]) if create else client.triggers.change(name, **fields))
    for name in gone:
        tell(f"delete {name}")
        if not dry_run:
            client.triggers.delete(name)


def _checked(client: Client, trigger: dict[str, Any]) -> dict[str, Any]:
    """Return what writing it would change; if it is wrong, say which one of the folder that is."""
    try:
        return client.triggers.check(**trigger)
    except Refused:
        click.echo(plain_line(f"Trigger {trigger['name']}:"), err=True)
        raise


def tell_plan(plan: dict[str, Any]) -> None:
    """Print what would be done, and each difference under it."""
    tell(f"{'unchanged' if plan['action'] == 'nothing' else plan['action']} {plan['name']}")
    for each in plan["differences"] if plan["action"] == "change" else ():
        change = f"{each['field']}: {_value(each['before'])} -> {_value(each['after'])}"
        click.echo(f"  {plain_line(change)}")


def tell_secret(written: dict[str, Any]) -> None:
    """Print the secret that was made, which nobody can read again."""
    if written["secret"]:
        tell(f"Senders sign with this secret, which is not shown again: {written['secret']}")


def _value(value: Any) -> str:
    return "(default)" if value is None else str(value)


def _unnamed(trigger: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in trigger.items() if field != "name"}
