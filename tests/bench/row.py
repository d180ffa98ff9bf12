"""One row of the benchmark: how it is measured, and in which place."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby, islice
from typing import Any

from tests.bench.samples import Sample, Summary, summarize

JOBS = 1_000_000
ALONE = ("trace", "soak", "table")  # what stands in the place of rows
NEAR = 5  # names that are suggested


@dataclass(frozen=True)
class Options:
    """What may be asked of all rows."""

    samples: int | None = None  # instead of each row's own number
    jobs: int = JOBS  # of the rows about a store with many


@dataclass(frozen=True)
class Row:
    """What is measured. ``measure`` yields samples without end, in a place that other rows share with it."""

    name: str
    what: str
    unit: str
    baseline: str
    place: Callable[[Options], AbstractContextManager[Any]]
    measure: Callable[[Any], Iterator[Sample]]
    samples: int = 20
    warm_up: int = 2

    def take(self, place: Any, options: Options) -> Summary:
        """Measure it; the first samples warm up what is measured, and do not count."""
        count = options.samples or self.samples
        with closing(self.measure(place)) as samples:  # type: ignore[type-var]
            return summarize(list(islice(samples, self.warm_up, self.warm_up + count)))


def measured(rows: Sequence[Row], options: Options) -> Iterator[tuple[Row, Summary]]:
    """Measure each; rows beside each other with the same place share one."""
    for place, group in groupby(rows, key=lambda row: row.place):
        with place(options) as here:
            for row in group:
                yield row, row.take(here, options)


def chosen(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Return the rows with these names, all of them if there are none, in their own order; refuse unknown names."""
    known = [row.name for row in rows]
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        raise ValueError("\n".join([*(_refusal(name, known) for name in unknown), "All rows: make bench ARGS=--list"]))
    return [row for row in rows if not names or row.name in names]


def stands_alone(name: str) -> str:
    """Tell whoever asks for rows beside it."""
    return f"{name} is not a row: it stands alone, as in make bench ARGS={name}."


def _refusal(name: str, known: Sequence[str]) -> str:
    if name in ALONE:
        return stands_alone(name)
    like = get_close_matches(name, known, n=NEAR) or [each for each in known if name in each][:NEAR]
    return f"No row is called {name}." + (f" Near it: {', '.join(like)}." if like else "")
