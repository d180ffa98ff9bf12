"""The subcommand triggers: lets retrainings start by themselves, and says why one did or did not."""

import click

from .actions import delete, fire, pause, resume
from .backtest import backtest
from .reading import events, list_triggers, show, tell_why
from .writing import add, apply


@click.group()
def triggers() -> None:
    """Let retrainings start by themselves: at times, when data, code or models change, or on a signal.

    \b
    Examples:
      retrain triggers list
    """


for command in (add, list_triggers, show, tell_why, events, pause, resume, fire, delete, apply, backtest):
    triggers.add_command(command)
