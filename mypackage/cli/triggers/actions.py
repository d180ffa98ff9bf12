"""The subcommands that do something to a trigger, or to all of them."""

import click

from ...client import Client
from ..show import json_option
from ..submit import show_new
from .reading import name_argument
from .saying import tell, why

reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, for those who ask later.")


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--all", "is_all", is_flag=True, help="Let no trigger fire, instead of one.")
@reason_option
@click.pass_obj
def pause(client: Client, name: str | None, is_all: bool, reason: str) -> None:
    """Let a trigger, or all of them, fire nothing. What happens meanwhile starts nothing, not even later.

    \b
    Examples:
      retrain triggers pause iris-nightly --reason "the data is being moved"
      retrain triggers pause --all --reason maintenance
    """
    if one_of(name, is_all=is_all) is None:
        client.triggers.pause_all(reason)
        tell("No trigger fires until: retrain triggers resume --all.")
    else:
        paused = client.triggers.pause(str(name), reason)
        tell(f"Trigger {name} fires nothing until: retrain triggers resume {paused['name']}.")


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--all", "is_all", is_flag=True, help="Let all fire that are not paused themselves.")
@reason_option
@click.pass_obj
def resume(client: Client, name: str | None, is_all: bool, reason: str) -> None:
    """Let a trigger, or all of them, fire again, for what happens from now on.

    \b
    Examples:
      retrain triggers resume iris-nightly
      retrain triggers resume --all
    """
    if one_of(name, is_all=is_all) is None:
        client.triggers.resume_all(reason)
        tell("Triggers fire again.")
    else:
        for sentence in why(resumed := client.triggers.resume(str(name), reason), resumed["last_event"]):
            tell(sentence)


@click.command()
@name_argument
@reason_option
@json_option
@click.pass_obj
def fire(client: Client, name: str, reason: str, as_json: bool) -> None:
    """Submit a trigger's job now, whatever its policy says, and even while it is paused.

    \b
    Examples:
      retrain triggers fire iris-nightly --reason "the data was mended"
    """
    show_new(client.triggers.fire(name, reason), as_json=as_json)


@click.command()
@name_argument
@click.pass_obj
def delete(client: Client, name: str) -> None:
    """Delete a trigger with its events. Its jobs stay, and go on.

    \b
    Examples:
      retrain triggers delete iris-nightly
    """
    client.triggers.delete(name)
    tell(f"Trigger {name} is deleted.")


def one_of(name: str | None, *, is_all: bool) -> str | None:
    """Return the name, or None for all; raise UsageError unless one of both is given."""
    if (name is None) != is_all:
        raise click.UsageError("Which trigger? Give a NAME, or --all.")
    return name
