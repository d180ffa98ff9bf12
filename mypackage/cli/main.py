"""The command `retrain` itself: finds the service, prints errors, and groups the subcommands."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from ..client import Client, ClientError, WaitTimeout
from ..plain_text import plain
from .access.audit import audit
from .access.tokens import tokens, whoami
from .alerts import alerts
from .doctor import doctor
from .gate import gate
from .init import init
from .jobs import cancel, list_jobs, open_run, priority, retry, status
from .models import approve, champion, history, models, observe, reject, rollback
from .outcome import INTERRUPTED, SERVICE_ERROR, TIMEOUT
from .submit import submit
from .triggers import triggers
from .usage import usage
from .waiting import logs, wait
from .workers import workers


class ServiceError(click.ClickException):
    """The service does not answer, or refuses the request."""

    exit_code = SERVICE_ERROR


class TimeIsOver(click.ClickException):
    """The job did not end in time."""

    exit_code = TIMEOUT


class Retrain(click.Group):
    """A group that prints the client's errors for people."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except WaitTimeout as error:
            raise TimeIsOver(plain(str(error))) from error
        except ClientError as error:
            raise ServiceError(plain(str(error))) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted here; what the service has accepted goes on.", err=True)
            ctx.exit(INTERRUPTED)


def tell_version(ctx: click.Context, _parameter: click.Parameter, is_wanted: bool) -> None:
    """Print the version and end; a copied folder has none."""
    if not is_wanted or ctx.resilient_parsing:
        return
    try:
        click.echo(version("automated-training"))
    except PackageNotFoundError:
        click.echo("unknown: this is a copy of the folder mypackage, which was not installed")
    ctx.exit()


@click.group(cls=Retrain, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--url",
    envvar="RETRAIN_URL",
    show_envvar=True,
    metavar="URL",
    help="Where the service is; http://127.0.0.1:5005 by default.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=tell_version, help="Say which.")
@click.pass_context
def main(ctx: click.Context, url: str | None) -> None:
    """Retrain models: submit jobs to the retraining service, and follow them.

    The environment variable RETRAIN_TOKEN is the service's token, if it requires one.

    \b
    Exit codes:
      0  done; for wait, --wait and --follow: the job succeeded
      1  the job failed; for alerts test: a message was not sent; for doctor: a check failed;
         for audit verify: the record was changed
      2  wrong usage, or the service does not answer or refuses
      3  the job was cancelled
      4  the time of wait was up before the job had ended

    \b
    Examples:
      retrain list
      retrain --url http://127.0.0.1:5005 list --state running
    """
    try:
        ctx.obj = Client(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


OF_JOBS = (submit, status, list_jobs, logs, wait, cancel, retry, priority, open_run)
OF_MODELS = (models, history, champion, approve, reject, rollback, observe)
for command in (init, *OF_JOBS, *OF_MODELS, triggers, gate, workers, alerts, usage, tokens, whoami, audit, doctor):
    main.add_command(command)
