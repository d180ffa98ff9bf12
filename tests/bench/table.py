"""`make bench ARGS="table FILE…"`: results as Markdown, so that nobody copies a figure by hand."""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.report import ROOT, figures_said, line

DOCUMENT = ROOT / "docs" / "performance.md"
COMMIT_CHARACTERS = 7
MISSING = "-"
TRAININGS = {"own-30-s": 30, "own-5-min": 300}  # rows that follow from whole-job
OF_A_ROW = re.compile(r"`([a-z0-9-]+)`")
Cells = Mapping[str, str]  # what is said of a row, by its name


def main(arguments: Sequence[str] = ()) -> int:
    """Print a table with a column for each file; with --into, write one file's figures into that column of the docs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench table", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="results.json of one run, or of several")
    parser.add_argument("--into", metavar="COLUMN", help="write them into this column of docs/performance.md")
    asked = parser.parse_args(arguments)
    told = [json.loads(file.read_text()) for file in asked.files]
    if not asked.into:
        print("\n".join(table(told)))
        return 0
    document = DOCUMENT.read_text()
    if f"| {asked.into} |" not in document:
        parser.error(f"no table of docs/performance.md has a column {asked.into}")
    for each in told:
        document = filled(document, asked.into, cells(each))
    DOCUMENT.write_text(document)
    return 0


def cells(told: Mapping[str, Any]) -> Cells:
    """Return what one run says of each of its rows, and what follows from it for longer trainings."""
    found = {row["name"]: figures_said(row) for row in told["rows"]}
    for row in told["rows"]:
        if row["name"] == "whole-job":
            sides = [row[side]["median"] / 1000 for side in ("ours", "baseline")]
            found |= {name: shares_said(seconds, sides) for name, seconds in TRAININGS.items()}
    return found


def shares_said(seconds: float, around: Sequence[float]) -> str:
    """Return how much of a job's time such a training is, where a job that does nothing takes ``around``."""
    return f"{' / '.join(f'{seconds / (seconds + each):.2%}'.rstrip('%') for each in around)} %"


def table(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table with a column for each commit."""
    columns: dict[str, Cells] = {}
    for each in told:
        title = each["commit"][:COMMIT_CHARACTERS] + ("+" if each["commit"].endswith("+") else "")
        columns[title] = {**columns.get(title, {}), **cells(each)}
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [(f"`{name}`", *(column.get(name, MISSING) for column in columns.values())) for name in names]
    titles = ("row", *columns)
    return [line(each) for each in (titles, ("---",) * len(titles), *rows)]


def filled(document: str, column: str, found: Cells) -> str:
    """Return the document with these cells in the column of that title, in each table that has one."""
    lines, place = document.splitlines(), None
    for number, text in enumerate(lines):
        parts = [part.strip() for part in text.strip("|").split("|")] if text.startswith("|") else []
        if not parts:
            place = None
        elif place is None:
            place = parts.index(column) if column in parts else -1
        elif place >= 0 and (name := OF_A_ROW.fullmatch(parts[0])) and name[1] in found:
            lines[number] = line((*parts[:place], found[name[1]], *parts[place + 1 :]))
    return "\n".join(lines) + "\n"
