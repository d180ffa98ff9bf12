"""How long each call of a store took, as whoever called saw it."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from shared.jobs.store import JobStore


@dataclass
class Timings:
    """Durations in seconds, by the name of what was done, and how often it failed."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            self.failures[name].append(repr(error))
            raise
        finally:
            self.seconds[name].append(time.perf_counter() - began)

    def milliseconds(self, name: str, part: float = 0.5) -> float:
        """The time below which that part of the calls stayed: 0.5 is the median."""
        times = sorted(self.seconds[name])
        return times[min(len(times) - 1, int(part * len(times)))] * 1000 if times else float("nan")


def timed(store: JobStore, timings: Timings) -> JobStore:
    """The same store, whose calls are timed."""
    return cast(JobStore, _Timed(store, timings))


class _Timed:
    def __init__(self, store: JobStore, timings: Timings) -> None:
        self._store = store
        self._timings = timings

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store, name)

        def timed_call(*arguments: Any, **named: Any) -> Any:
            with self._timings.of(name):
                return call(*arguments, **named)

        return timed_call


def row(cells: Sequence[object]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"
