"""The page of the command line, from the help that click writes."""

from collections.abc import Iterator

import click

from mypackage.cli.main import main

WIDTH = 100
HEAD = """# Command line

Generated from `retrain --help` and the help of its commands by `make reference`. `RETRAIN_URL` says where the service
is, `RETRAIN_TOKEN` holds your token. `python -m mypackage.cli` is the same command without an installation.
"""


def text() -> str:
    """Return the page: a section for each command."""
    sections = [f"## {name}\n\n```text\n{help_text}\n```\n" for name, help_text in _helps(main, "retrain", None)]
    return "\n".join([HEAD, *sections])


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    # Neither the terminal nor the environment of whoever writes the page has a say in it.
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **settings)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if found := command.get_command(context, each):
                yield from _helps(found, f"{name} {each}", context)
