"""Checks the audit's chain of hashes. `shared.access.audit` makes it; a test compares the two."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NO_HASH = "0" * 64  # before the first entry


@dataclass(frozen=True)
class Anchor:
    """An entry that somebody noted: what is in the record now must still have it."""

    number: int
    hash: str


@dataclass(frozen=True)
class Finding:
    """What a look at the chain found. Without a problem, each entry follows on the one before."""

    entries: int
    first: int
    head: Anchor | None
    problem: str = ""


def hash_of(before: str, record: Mapping[str, Any]) -> str:
    """Return the hash that chains a record to the one with the hash before."""
    form = json.dumps({name: value for name, value in record.items() if name != "hash"}, sort_keys=True)
    return hashlib.sha256(f"{before}\n{form}".encode()).hexdigest()


def verify(
    newest_first: Iterable[Mapping[str, Any]], *, anchor: Anchor | None = None, is_whole: bool = True
) -> Finding:
    """Follow the chain from its head to its beginning, and name the first place where it is broken.

    Keeps one entry at a time, however many there are. ``is_whole`` is false for what may begin later than the record.
    """
    head: Anchor | None = None
    later: Mapping[str, Any] | None = None
    entries, problem, is_anchored = 0, "", anchor is None
    for record in newest_first:
        entries += 1
        here = Anchor(int(record["number"]), str(record["hash"]))
        head = head or here
        is_anchored = is_anchored or here == anchor
        if later is not None:
            problem = _problem(record, later) or problem
        later = record
    first = int(later["number"]) if later is not None else 0
    if later is not None and is_whole:
        problem = _problem({"number": 0, "hash": NO_HASH}, later) or problem
    if not problem and not is_anchored and anchor is not None:
        problem = _lost(anchor, head, first)
    return Finding(entries, first, head, problem)


def _problem(before: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return why a record does not follow on the one before; empty if it does."""
    number, last = int(record["number"]), int(before["number"])
    if number != last + 1:
        missing = f"entry {last + 1} is" if number == last + 2 else f"entries {last + 1} to {number - 1} are"
        return f"{missing} missing" if number > last else f"entry {number} is there twice"
    if hash_of(str(before["hash"]), record) != record["hash"]:
        return f"entry {number} was changed" + (f", or entry {last} was" if last else "")
    return ""


def _lost(anchor: Anchor, head: Anchor | None, first: int) -> str:
    last = head.number if head is not None else 0
    if last < anchor.number:
        return f"the record ends with entry {last}, but entry {anchor.number} was there: its end is missing"
    if anchor.number < first:
        return f"entry {anchor.number} is not in it: it begins with entry {first}"
    return f"entry {anchor.number} has another hash than the one that was noted: the record was written again"
