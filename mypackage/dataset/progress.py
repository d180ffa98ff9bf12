"""Shows a transfer's progress: tqdm's bar if tqdm is installed, else a line now and then. Threads may share one."""

import importlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

LINE_SECONDS = 10


class Progress:
    """A transfer of ``total`` bytes; None if that is unknown."""

    def __init__(
        self, what: str, total: int | None, *, done: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._done, self._told_at, self._lock = done, clock(), threading.Lock()
        self._bar = self._make_bar()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif error is None:
            self._tell()

    def add(self, count: int) -> None:
        """Count more bytes."""
        with self._lock:
            self._done += count
            if self._bar is not None:
                self._bar.update(count)
            elif self._clock() - self._told_at >= LINE_SECONDS:
                self._tell()

    def _make_bar(self) -> Any:
        try:
            tqdm = importlib.import_module("tqdm")
        except ImportError:
            return None
        return tqdm.tqdm(
            desc=self._what, total=self._total, initial=self._done, unit="B", unit_scale=True, mininterval=1
        )

    def _tell(self) -> None:
        self._told_at = self._clock()
        whole = f" of {_megabytes(self._total)}" if self._total else ""
        print(f"{self._what}: {_megabytes(self._done)}{whole}", flush=True)  # noqa: T201 - the training's own log


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
