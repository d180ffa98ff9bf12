"""Shows a job's progress on a line below other output: its state, attempt and queue position. Needs rich."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from .plain_text import plain_line
from .watched_job import WatchedJob, what_else

STATE_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
BAR_CHARACTERS = 16


class LiveLine:
    """Shows the job while the block lasts; whoever waits for the job refreshes it."""

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
            self._progress.update(self._task, total=1, completed=1)
        self._progress.stop()

    def print(self, text: str) -> None:
        """Print text, which must already be plain, above the line, without wrapping."""
        self._progress.console.print(Text(text), soft_wrap=True)


class StateColumn(ProgressColumn):
    """The job's current state."""

    def __init__(self, job: WatchedJob) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))
        self._job = job

    def render(self, task: Task) -> Text:
        """Return the state in its colour, and details."""
        record = self._job.record
        state, more = record["state"], what_else(record)
        text = Text(plain_line(state), style=STATE_STYLES.get(state, ""), no_wrap=True, overflow="ellipsis")
        return text.append(plain_line("".join(f", {each}" for each in more)), style="default")
