"""The subcommands that send one request: status, list, cancel, retry, priority, open."""

import webbrowser
from typing import Any

import click

from ..client import ENDED, Client
from ..plain_text import plain_line
from .show import is_for_people, job_argument, json_option, show_job, show_jobs
from .submit import show_new

STATES = ("queued", "starting", "running", "retry_wait", "cancelling", *sorted(ENDED))


@click.command()
@job_argument
@json_option
@click.pass_obj
def status(client: Client, job_id: str, as_json: bool) -> None:
    """Show a job: its state, the reason, and the result.

    \b
    Examples:
      retrain status 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
      retrain status 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --json
    """
    show_job(client.job(job_id), as_json=as_json)


@click.command("list")
@click.option("--state", multiple=True, type=click.Choice(STATES), help="In this state; may be repeated.")
@click.option("--experiment", metavar="NAME", help="Of this MLflow experiment.")
@click.option("--model", metavar="NAME", help="Of this registered model.")
@click.option("--trigger", metavar="NAME", help="Fired by this trigger.")
@click.option("--mine", "submitted_by", flag_value="me", help="Your own.")
@click.option("--team", metavar="NAME", help="Of this team.")
@click.option("--label", metavar="NAME[=VALUE]", help="With this label.")
@click.option("--host", metavar="NAME", help="Whose last attempt ran or runs there.")
@click.option("--commit", metavar="SHA", help="Of the commit that begins so; at least 6 characters.")
@click.option(
    "--search", metavar="TEXT", help="Any of these: an id's or commit's beginning, a name, a host, a label NAME=VALUE."
)
@click.option("--created-after", metavar="TIME", help="Accepted after this RFC 3339 time.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@json_option
@click.pass_obj
def list_jobs(client: Client, /, *, as_json: bool, **filters: Any) -> None:
    """List jobs, newest first. In a pipe: a line each, with tabs between the columns.

    \b
    Examples:
      retrain list
      retrain list --state running --state queued --model iris-classifier
      retrain list --trigger iris-nightly
      retrain list --mine --state running
      retrain list --commit 1f0c7a3
      retrain list --label team=vision --created-after 2026-01-31T12:00:00Z --limit 5 --json
    """
    show_jobs(client.jobs(**filters), as_json=as_json)


@click.command()
@job_argument
@click.option("--force", is_flag=True, help="Kill the training at once, without a grace.")
@json_option
@click.pass_obj
def cancel(client: Client, job_id: str, force: bool, as_json: bool) -> None:
    """Cancel a job. One that trains is told to stop, and is cancelling until it has.

    \b
    Examples:
      retrain cancel 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
      retrain cancel 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --force
    """
    show_job(client.job(job_id).cancel(force=force), as_json=as_json)


@click.command()
@job_argument
@click.option("--pin/--no-pin", default=True, help="Train the same commit again (default), or look its name up again.")
@click.option(
    "--git-uri",
    envvar="RETRAIN_GIT_URI",
    show_envvar=True,
    help="The job's address with its token again, where it had one; in the variable, no process list shows it.",
)
@click.option("--dataset-repo", envvar="RETRAIN_DATASET_REPO", show_envvar=True, help="Likewise.")
@json_option
@click.pass_obj
def retry(
    client: Client, job_id: str, *, pin: bool, git_uri: str | None, dataset_repo: str | None, as_json: bool
) -> None:
    """Repeat a job that has ended, as a new job.

    \b
    Examples:
      retrain retry 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
      retrain retry 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --no-pin --json
    """
    again = client.job(job_id).retry(pin=pin, git_uri=git_uri, dataset_repo=dataset_repo)
    show_new(again, as_json=as_json)


@click.command()
@job_argument
@click.argument("priority", metavar="N", type=click.IntRange(0, 9))
@json_option
@click.pass_obj
def priority(client: Client, job_id: str, priority: int, as_json: bool) -> None:
    """Let a job that waits go before or behind others: N is 0 to 9, and higher goes first.

    \b
    Examples:
      retrain priority 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b 9
    """
    show_job(client.job(job_id).set_priority(priority), as_json=as_json)


@click.command("open")
@job_argument
@click.pass_obj
def open_run(client: Client, job_id: str) -> None:
    """Print the address of the job's MLflow run and, at a terminal, open it in the browser.

    \b
    Examples:
      retrain open 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
    """
    job = client.job(job_id)
    if job.run_url is None:
        raise click.UsageError(f"Job {plain_line(job.id)} is {plain_line(job.state)} and has no MLflow run.")
    url = plain_line(job.run_url)
    click.echo(url)
    if is_for_people() and url.startswith(("http://", "https://")):
        webbrowser.open(url)
