"""Shows a job's progress while waiting: in a notebook, on a live line (rich, at a terminal) or as lines."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .notebook import find_display, show_progress
from .plain_text import plain_line
from .watched_job import WatchedJob, told

if TYPE_CHECKING:
    from rich.console import Console

LIVE_SECONDS = 10.0  # for changes of the queue position, which end no wait


def wait_and_show(job: WatchedJob, timeout: float | None, *, console: "Console | None" = None) -> None:
    """Wait for the job's end and show each change of state, on ``console`` or, by default, where it suits."""
    if console is None and (display := find_display()):
        show_progress(job.watch(timeout, at_least_every=LIVE_SECONDS), display)
        return
    console = console or find_console()
    if console is None:
        for change in changes(job.watch(timeout)):
            print(plain_line(f"{change['to']}: {change['reason']}"), flush=True)  # noqa: T201 - for who waits in a notebook
        return
    from .live_line import LiveLine  # noqa: PLC0415 - rich is installed

    with LiveLine(job, console) as line:
        for change in changes(job.watch(timeout, at_least_every=LIVE_SECONDS)):
            line.print(told(change))


def changes(records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each change of state once."""
    shown = 0
    for record in records:
        yield from record["transitions"][shown:]
        shown = len(record["transitions"])


def find_console() -> "Console | None":
    """Return a console that can show a live line; None without rich, and if nobody is watching."""
    try:
        from rich.console import Console  # noqa: PLC0415 - the client works without
    except ImportError:
        return None
    console = Console()
    return console if not console.is_jupyter and console.is_interactive and sys.stdout.isatty() else None
