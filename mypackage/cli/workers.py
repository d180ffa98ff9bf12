"""The subcommand workers: lists the hosts that train, and drains one before its maintenance."""

from collections.abc import Sequence
from typing import Any

import click

from ..client import Client
from ..client.hosts import attempts_run
from ..plain_text import plain_line
from .show import SHORT_ID_CHARACTERS, age, is_for_people, json_option, show_json, show_lines, show_table

PEOPLE_COLUMNS = ("host", "state", "slots", "gpus", "seen", "queues", "takes nothing", "jobs", "labels")

host_argument = click.argument("host", metavar="HOST")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def workers(ctx: click.Context, as_json: bool) -> None:
    """List the hosts' workers: whether they are alive, what is in use, and why one takes no new jobs.

    In a pipe, it prints tab-separated lines. The subcommands drain a host, and undo that.

    \b
    Examples:
      retrain workers
      retrain workers --json
      retrain workers drain gpu-1 --reason "new disks" --wait
    """
    if ctx.invoked_subcommand is not None:
        return
    records = ctx.ensure_object(Client).workers()
    if as_json:
        show_json(records)
    elif is_for_people():
        show_table(PEOPLE_COLUMNS, map(columns_for_people, records), empty="No worker has sent a heartbeat yet.")
    else:
        show_lines([columns(record) for record in records])


@workers.command()
@host_argument
@click.option("--reason", default="", metavar="TEXT", help="Why, for those whose jobs wait for the host.")
@click.option("--wait", "is_awaited", is_flag=True, help="Return once nothing runs there.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="The longest wait; after it, exit code 4."
)
@json_option
@click.pass_obj
def drain(client: Client, host: str, reason: str, is_awaited: bool, timeout: float | None, as_json: bool) -> None:
    """Let a host take nothing new, such as before its maintenance. What runs there goes on to its end.

    It stays drained when its worker restarts, until `retrain workers undrain`. Jobs that may run elsewhere do.

    \b
    Examples:
      retrain workers drain gpu-1
      retrain workers drain gpu-1 --reason "new disks" --wait --timeout 86400
    """
    worker = client.drain(host, reason)
    if not as_json:
        tell(f"Host {host} takes nothing new; {attempts_run(worker['used_slots'])} there.")
    if is_awaited:
        worker = client.await_drained(host, timeout)
        if not as_json:
            tell("Nothing runs there any more.")
    if as_json:
        show_json(worker)


@workers.command()
@host_argument
@json_option
@click.pass_obj
def undrain(client: Client, host: str, as_json: bool) -> None:
    """Let a drained host take new attempts again.

    \b
    Examples:
      retrain workers undrain gpu-1
    """
    worker = client.undrain(host)
    if as_json:
        show_json(worker)
    else:
        tell(f"Host {host} takes new attempts again.")


def tell(text: str) -> None:
    """Print a line."""
    click.echo(plain_line(text))


def columns(record: dict[str, Any]) -> Sequence[str]:
    """Return a worker as a row; slots and GPUs as used/total."""
    return (
        record["host"],
        record["state"],
        f"{record['used_slots']}/{record['slots']}",
        f"{len(record['used_gpus'])}/{len(record['gpus'])}",
        ",".join(record["queues"]),
        record["seen_at"],
        why_closed(record),
        " ".join(record["jobs"]),
        ",".join(record["labels"]),
    )


def columns_for_people(record: dict[str, Any]) -> Sequence[str]:
    """Return a worker as a row of the table: short ids, and how long ago it was seen."""
    host, state, slots, gpus, queues, seen, closed, _, labels = columns(record)
    jobs = " ".join(each[:SHORT_ID_CHARACTERS] for each in record["jobs"])
    return (host, state, slots, gpus, age(seen), queues, closed, jobs, labels)


def why_closed(record: dict[str, Any]) -> str:
    """Return why it takes no new jobs, with the reason that a person gave."""
    reason = (record["drain"] or {}).get("reason")
    return f"{record['closed_because']}: {reason}" if reason else record["closed_because"] or ""
