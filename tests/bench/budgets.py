"""The goals of budgets.toml, by row."""

import tomllib
from pathlib import Path

from tests.bench.samples import Goal, Measure

FILE = Path(__file__).with_name("budgets.toml")


def load(text: str | None = None) -> dict[str, Goal]:
    """Read the goals, from the file unless a text is given; refuse what is no goal."""
    told = tomllib.loads(FILE.read_text() if text is None else text)
    return {name: _goal(name, dict(fields)) for name, fields in told.items()}


def _goal(name: str, fields: dict[str, float | bool]) -> Goal:
    at_least = bool(fields.pop("at_least", False))
    if len(fields) != 1 or not set(fields) <= set(Measure):
        raise ValueError(f"The goal of {name} needs exactly one of {', '.join(Measure)}; it has: {', '.join(fields)}.")
    ((measure, value),) = fields.items()
    return Goal(Measure(measure), float(value), at_least)
