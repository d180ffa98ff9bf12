"""The subcommands that can run until a job has ended: wait and logs. Submit uses them, too."""

import click

from ..client import Client, JobHandle
from ..live_line import LiveLine
from ..plain_text import plain_line
from ..progress import find_console
from .outcome import exit_code
from .show import is_for_people, job_argument, json_option, show_job, show_log, show_outcome, what_happened


@click.command()
@job_argument
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="The longest wait.")
@json_option
@click.pass_context
def wait(ctx: click.Context, job_id: str, timeout: float | None, as_json: bool) -> None:
    """Wait until a job has ended.

    The exit code is 0 if it succeeded, 1 if it failed, 2 for wrong usage or no answer from the service, 3 if it was
    cancelled, and 4 if the time was up; the job then goes on.

    \b
    Examples:
      retrain wait 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
      retrain wait 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --timeout 3600 --json
    """
    job = ctx.ensure_object(Client).job(job_id)
    wait_for(job, timeout=timeout, as_json=as_json)
    ctx.exit(exit_code(job))


@click.command()
@job_argument
@click.option("-f", "--follow", is_flag=True, help="Print more as it is written, until the job has ended.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Only this attempt; by default the last one.")
@click.pass_obj
def logs(client: Client, job_id: str, follow: bool, attempt: int | None) -> None:
    """Print what the training printed, without its control sequences.

    With --follow, it continues with later attempts, and through restarts of the service.

    \b
    Examples:
      retrain logs 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
      retrain logs 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --attempt 1
      retrain logs 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b -f
    """
    job = client.job(job_id)
    if not job.attempt_count:
        tell_that_none_began(job)
    show_log(job.log_lines(follow=follow, attempt=attempt))


def tell_that_none_began(job: JobHandle) -> None:
    """Say on stderr why there is no log, and what the job waits for."""
    end = "no attempt ever began, so there is no log" if job.has_ended else "nothing is printed yet"
    why = job.record["queue"]["message"] or what_happened(job.record)
    click.echo(plain_line(f"Job {job.id} is {job.state}; {end}{f': {why}' if why else ''}"), err=True)


def wait_for(job: JobHandle, *, timeout: float | None = None, as_json: bool = False) -> None:
    """Wait for the job's end, show its progress to people, and print it."""
    job.wait(timeout, progress=is_for_people() and not as_json)
    show_job(job, as_json=as_json)


def follow_to_end(job: JobHandle, *, as_json: bool = False) -> None:
    """Print the job's log until it has ended, with its progress below for people, and how it ended."""
    console = None if as_json else find_console()
    if console is None:
        show_log(job.log_lines(follow=True), to_stderr=as_json)
        job.refresh()
    else:
        with LiveLine(job, console) as line:
            show_log(job.log_lines(follow=True), write=line.print)
            job.refresh()
    if as_json:
        show_job(job, as_json=True)
    else:
        show_outcome(job)
