"""The subcommand rollback: makes another version of a model champion."""

import click

from ..client import Client
from ..plain_text import plain_line
from .show import json_option, show_json


@click.command()
@click.argument("model")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who ask later.")
@json_option
@click.pass_obj
def rollback(client: Client, /, *, model: str, version: int, reason: str, as_json: bool) -> None:
    """Make another version of a model its champion, such as the one before.

    The replaced champion gets the alias previous.

    \b
    Examples:
      retrain rollback iris-classifier 1 --reason "version 2 is blind to roses"
    """
    answer = client.roll_back(model, version, reason)
    if as_json:
        show_json(answer)
        return
    was = f", and version {answer['previous_version']} the one before" if answer["previous_version"] else ""
    already = "" if answer["changed"] else " already"
    click.echo(plain_line(f"Version {answer['version']} of {answer['model']} is champion{already}{was}."))
