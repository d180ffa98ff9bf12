"""Prints records and logs: JSON for programs, lines for pipes, tables for people at a terminal."""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..client import JobHandle
from ..client.log import LogLine
from ..live_line import STATE_STYLES
from ..plain_text import plain, plain_line

WORKER_STYLES = {"alive": "green", "silent": "yellow", "lost": "red"}
PEOPLE_COLUMNS = ("id", "state", "age", "experiment", "model", "what")
SHORT_ID_CHARACTERS = 8  # the other commands take them, too
GAP = 2  # between two columns
LEAST_WIDTH = 4
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
job_argument = click.argument("job_id", metavar="ID")


def is_for_people() -> bool:
    """Return whether somebody reads stdout at a terminal."""
    return sys.stdout.isatty()


def show_job(job: JobHandle, *, as_json: bool) -> None:
    """Print one job."""
    if as_json:
        show_json(job.record)
        return
    rows = [(name, plain_line(value)) for name, value in facts(job.record) if value]
    if is_for_people():
        show_facts(rows)
    else:
        for name, value in rows:
            click.echo(f"{name}: {value}")


def show_facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns; a word, such as an address, is never folded, so that it can be opened."""
    console, indent = Console(), max(cell_len(name) for name, _ in rows) + GAP
    for name, value in rows:
        lines = textwrap.wrap(value, max(console.width - indent, 1), break_long_words=False, break_on_hyphens=False)
        shown = styled(value) if len(lines) == 1 else Text(f"\n{' ' * indent}".join(lines))
        console.print(Text(name.ljust(indent), style="bold") + shown, soft_wrap=True)


def show_jobs(jobs: Iterable[JobHandle], *, as_json: bool) -> None:
    """Print a list of jobs: a table or, in a pipe, tab-separated lines."""
    if as_json:
        show_json([job.record for job in jobs])
        return
    if is_for_people():
        show_table(PEOPLE_COLUMNS, [columns_for_people(job.record) for job in jobs], empty="No jobs.")
    else:
        show_lines([columns(job.record) for job in jobs])


def show_table(names: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table that fits the terminal."""
    console = Console()
    shown = [[plain_line(value) for value in row] for row in rows]
    console.print(table_of(names, shown, width=console.width) if shown else Text(empty))


def show_lines(rows: Iterable[Sequence[str]]) -> None:
    """Print tab-separated lines."""
    for row in rows:
        click.echo("\t".join(map(plain_line, row)))


def show_json(value: Any) -> None:
    """Print the value in ASCII only, so that no character of it can control a terminal."""
    click.echo(json.dumps(value, indent=2))


def show_log(lines: Iterable[LogLine], *, to_stderr: bool = False, write: Callable[[str], None] | None = None) -> None:
    """Print a log as it comes; announce the start of a further attempt on stderr."""
    last = None
    for line in lines:
        if last is not None and line.attempt != last:
            click.echo(f"--- attempt {line.attempt} ---", err=True)
        last = line.attempt
        text = plain(line.text).removesuffix("\n")
        if write is None:
            click.echo(text, err=to_stderr)
        else:
            write(text)


def show_outcome(job: JobHandle) -> None:
    """Say on stderr how the job ended, and where its run is."""
    told = what_happened(job.record)
    click.echo(plain_line(f"Job {job.id} {job.state}{f': {told}' if told else ''}"), err=True)
    if job.run_url:
        click.echo(plain_line(f"Run {job.run_url}"), err=True)


def facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a person wants to know about a job, the most important first; empty values are left out."""
    request, model, attempts = record["request"], record["model"], record["attempts"]
    return [
        ("job", record["id"]),
        ("state", record["state"]),
        ("reason", message_of(record["reason"])),
        ("waits", record["queue"]["message"] or ""),
        ("fired by", fired_by(record)),
        ("experiment", str(request.get("experiment_name", ""))),
        ("source", f"{request.get('git_uri', '')} {request.get('MLproject_location', '')}"),
        ("commit", record["resolved"]["commit_sha"] or str(request.get("commit_hash", ""))),
        ("attempts", f"{len(attempts)}, the last on {attempts[-1]['host']}" if attempts else ""),
        ("metrics", ", ".join(f"{name}={value}" for name, value in record["metrics"].items())),
        ("model", f"{model['name']}, version {model['version']}" if model else ""),
        ("promotion", decision(record)),
        ("to approve", approval(record)),
        ("refused", refusals(record)),
        ("run", record["links"]["mlflow"] or ""),
        ("created", record["created_at"]),
        ("ended", record["ended_at"] or ""),
        ("retry of", record["retry_of"] or ""),
    ]


def fired_by(record: dict[str, Any]) -> str:
    """Return the trigger and what happened; a server of an older version does not say."""
    by = record.get("triggered_by") or {}
    told = ", ".join(f"{name} {value}" for name, value in (by.get("facts") or {}).items())
    return f"trigger {record.get('trigger')}, {by.get('kind')}{f': {told}' if told else ''}" if by else ""


def approval(record: dict[str, Any]) -> str:
    """Return the commands for a model that waits for a person's word."""
    promotion = record["promotion"] or {}
    if promotion.get("state") != "awaiting_approval":
        return ""
    return f"retrain approve {promotion['id']} (or: retrain reject {promotion['id']} --reason TEXT)"


def refusals(record: dict[str, Any]) -> str:
    """Return what the guard before MLflow refused to the training; a server of an older version does not say."""
    return "; ".join(f"{each['call']} ({each['object']}) {each['count']}x" for each in record.get("refused") or ())


def columns(record: dict[str, Any]) -> Sequence[str]:
    """Return a job as a row of the list."""
    request = record["request"]
    made = record["model"] or {}  # where the MLproject file, not the request, names the model
    names = (str(request.get("experiment_name") or ""), str(request.get("model_name") or made.get("name") or ""))
    return (record["id"], record["state"], *names, record["created_at"], what_happened(record))


def columns_for_people(record: dict[str, Any]) -> Sequence[str]:
    """Return a job as a row of the table: a short id, and its age."""
    job_id, state, experiment, model, created, what = columns(record)
    return (job_id[:SHORT_ID_CHARACTERS], state, age(created), experiment, model, what)


def age(time: str) -> str:
    """Return how long ago a time of the API was, in its largest unit."""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()))
    size, unit = next((each for each in UNITS if seconds >= each[0]), UNITS[-1])
    return f"{seconds // size} {unit}"


def what_happened(record: dict[str, Any]) -> str:
    """Return the reason or, if all went well, the decision about the champion."""
    return message_of(record["reason"]) or decision(record)


def decision(record: dict[str, Any]) -> str:
    """Return the decision about the champion, or why there is none although a model was registered."""
    if record["model"] and not record["promotion"]:
        return "no decision: train.py registers without auto_compare_and_register, or its copy of mypackage is too old"
    return str((record["promotion"] or {}).get("reason", ""))


def message_of(reason: dict[str, Any] | None) -> str:
    """Return a reason as text."""
    return f"{reason['code']}: {reason['message']}" if reason else ""


def table_of(names: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> Table:
    """Return a table of this width, one line a row; columns that are empty are left out."""
    kept = [place for place in range(len(names)) if any(row[place] for row in rows)]
    texts = [[names[place], *(row[place] for row in rows)] for place in kept]
    widths = fitted([max(map(cell_len, each)) for each in texts], width - GAP * (len(kept) - 1))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    for place, characters in zip(kept, widths, strict=True):
        table.add_column(names[place], no_wrap=True, overflow="ellipsis", width=characters)
    for row in rows:
        table.add_row(*(styled(row[place]) for place in kept))
    return table


def fitted(wished: Sequence[int], width: int) -> list[int]:
    """Share the width out: short columns get what they wish, so that only long ones are cut."""
    given, left = [0] * len(wished), width
    for number, place in enumerate(sorted(range(len(wished)), key=wished.__getitem__)):
        given[place] = max(LEAST_WIDTH, min(wished[place], left // (len(wished) - number)))
        left -= given[place]
    return given


def styled(value: str) -> Text:
    """Return the value as text, never as rich's markup; states are coloured."""
    return Text(value, style={**STATE_STYLES, **WORKER_STYLES}.get(value, ""))
