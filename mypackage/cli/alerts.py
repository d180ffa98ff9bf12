"""The subcommand alerts: sends test messages to the alert channels."""

import click

from ..client import Client
from ..plain_text import plain_line
from .outcome import NOT_SENT
from .show import json_option, show_json


@click.group()
def alerts() -> None:
    """Alerts about jobs.

    \b
    Examples:
      retrain alerts test
    """


@alerts.command()
@click.option("--to", "names", multiple=True, metavar="NAME", help="Alert channel that the operator named; repeatable.")
@json_option
@click.pass_context
def test(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Send a test message to the alert channels, and report the outcome.

    Without --to it goes to the channels of a job that names none. The exit code is 0 if every message was sent, 1 if
    one was not, and 2 if the service refuses: no channel is set up, or none of this name.

    \b
    Examples:
      retrain alerts test
      retrain alerts test --to team-a --json
    """
    results = ctx.ensure_object(Client).test_alerts(names or None)
    if as_json:
        show_json(results)
    for result in () if as_json else results:
        cause = f": {result['cause']}" if result["cause"] else ""
        click.echo(plain_line(f"{result['channel']}: {result['outcome'].replace('_', ' ')}{cause}"))
    ctx.exit(0 if all(result["outcome"] == "sent" for result in results) else NOT_SENT)
