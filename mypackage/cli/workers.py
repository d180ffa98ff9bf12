"""Subcommand workers: the hosts that train, and what they do."""

from collections.abc import Sequence
from typing import Any

import click

from ..client import Client
from .show import json_option, show_json, show_rows

COLUMNS = ("host", "state", "slots", "gpus", "queues", "last seen", "takes nothing", "jobs")


@click.command()
@json_option
@click.pass_obj
def workers(client: Client, as_json: bool) -> None:
    """List the hosts' workers: whether they are there, what of them is in use, and why one takes nothing.

    In a pipe: a line each, with tabs between the columns.

    \b
    Examples:
      retrain workers
      retrain workers --json
    """
    records = client.workers()
    if as_json:
        show_json(records)
    else:
        show_rows(COLUMNS, [columns(record) for record in records], empty="No worker has given a sign of life yet.")


def columns(record: dict[str, Any]) -> Sequence[str]:
    """A worker as a row; of slots and GPUs how many are taken, of how many."""
    return (
        record["host"],
        record["state"],
        f"{record['used_slots']}/{record['slots']}",
        f"{len(record['used_gpus'])}/{len(record['gpus'])}",
        ",".join(record["queues"]),
        record["seen_at"],
        record["closed_because"] or "",
        " ".join(record["jobs"]),
    )
