"""Numbers as rows of a table, and two series of them compared pair by pair."""

import statistics
import sys
from collections.abc import Sequence


def say(line: str) -> None:
    """Print it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row(cells: Sequence[str]) -> None:
    """Print a row of a table in Markdown."""
    say(f"| {' | '.join(cells)} |")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median with the least and the greatest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def paired(name: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Print a row with both series, the difference of the medians, and the median of the pairs' differences."""
    of_medians = 100 * (statistics.median(ours) / statistics.median(theirs) - 1)
    pairs = [100 * (one / other - 1) for one, other in zip(ours, theirs, strict=True)]
    row([name, spread(ours), spread(theirs), f"{of_medians:+.1f} %", f"{spread(pairs, 1)} %"])


def pair_titles() -> None:
    """Print the titles of such rows."""
    row(["what", "with the guard, s", "without, s", "medians", "pairs"])
    row(["---", "---:", "---:", "---:", "---:"])
