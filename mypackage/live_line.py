"""One line, under what is printed, that says how a job goes: its state, attempt and place in the queue. Needs rich."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from .plain_text import plain_line
from .watched_job import WatchedJob

STATE_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
BAR_CHARACTERS = 16


class LiveLine:
    """Shows the job while the block lasts; whoever waits for the job refreshes it meanwhile."""

    def __init__(self, job: WatchedJob, console: Console) -> None:
        self._job = job
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=BAR_CHARACTERS),
            TimeElapsedColumn(),
            StateColumn(job),
            console=console,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._task = self._progress.add_task("", total=None)
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._job.has_ended:
            self._progress.update(self._task, total=1, completed=1, refresh=True)  # a notebook gets no last one
        self._progress.stop()

    def print(self, text: str) -> None:
        """Print text that is plain already above the line, without wrapping it."""
        self._progress.console.print(Text(text), soft_wrap=True)


class StateColumn(ProgressColumn):
    """What the job does now."""

    def __init__(self, job: WatchedJob) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))
        self._job = job

    def render(self, task: Task) -> Text:
        """The state in its colour, and more."""
        record = self._job.record
        state, more = record["state"], what_else(record)
        text = Text(plain_line(state), style=STATE_STYLES.get(state, ""), no_wrap=True, overflow="ellipsis")
        return text.append(plain_line("".join(f", {each}" for each in more)), style="default")


def what_else(record: dict[str, Any]) -> list[str]:
    """The number of the attempt, the place in the queue, and why it waits; only what there is."""
    attempts, queue = len(record["attempts"]), record["queue"]
    found = [f"attempt {attempts}"] if attempts else []
    if queue["position"] is not None:
        found.append(f"place {queue['position']} in the queue {queue['name']}")
    return [*found, queue["message"]] if queue["message"] else found
