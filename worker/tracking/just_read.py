"""Keeps what was just read of a run for whoever needs it next: MLflow is not asked twice at the end of a job."""

import time
from collections.abc import Callable

from worker.tracking.records import Run

SECONDS = 2.0  # after which the run may have changed


class JustRead:
    """Runs of trainings that have ended and propose nothing: they stay as they are until the service closes them.

    Any thread may use it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._runs: dict[str, tuple[Run, float]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def keep(self, run: Run) -> None:
        """Keep the run for a moment."""
        now = self._clock()
        for run_id, (_run, until) in tuple(self._runs.items()):
            if until < now:  # its attempt was left to another worker
                self._runs.pop(run_id, None)
        self._runs[run.info.run_id] = run, now + SECONDS

    def take(self, run_id: str) -> Run | None:
        """Return the run if it was read a moment ago: once, because whoever asks is about to change it."""
        run, until = self._runs.pop(run_id, (None, 0.0))
        return run if self._clock() <= until else None
