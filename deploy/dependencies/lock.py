"""Print the part of requirements.txt that one dependency group of pyproject.toml needs.

`make lock` resolves all groups at once. uv notes below each package who asks for it, a group or another package, so
the notes lead from a group to all that it needs. Needs nothing but Python: images begin with it.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
ENTRY_STARTS = re.compile(r"^(?=[a-z0-9])", re.MULTILINE)
NAME = re.compile(r"[a-z0-9._-]+")
ASKED_BY = re.compile(r"^    #(?: via| {2})? (\S.*)$", re.MULTILINE)
GROUP = re.compile(r"\(pyproject\.toml:(.+)\)$")


@dataclass(frozen=True)
class Entry:
    """One package of the lock, as it is written there."""

    name: str
    text: str
    asked_by: frozenset[str]

    @property
    def groups(self) -> set[str]:
        """The groups that name this package themselves."""
        return {found[1] for asking in self.asked_by if (found := GROUP.search(asking))}


def entries(lock: str) -> list[Entry]:
    """Return the packages of the lock; one whose version depends on the platform is there more than once."""
    texts = ENTRY_STARTS.split(lock)[1:]
    return [Entry(NAME.findall(text)[0], text, frozenset(ASKED_BY.findall(text))) for text in texts]


def part(lock: str, group: str) -> list[Entry]:
    """Return the packages that a group needs, those that it names and those that they ask for in turn."""
    every = entries(lock)
    names = {entry.name for entry in every if group in entry.groups}
    while more := {entry.name for entry in every if entry.asked_by & names} - names:
        names |= more
    return [entry for entry in every if entry.name in names]


def main(group: str) -> None:
    """Print the part of a group, as a requirements file with hashes."""
    text = LOCK.read_text()
    found = part(text, group)
    if not found:
        known = ", ".join(sorted({name for entry in entries(text) for name in entry.groups}))
        sys.exit(f"{LOCK.name} has no packages for the group {group!r} (it has: {known}). Run: make lock")
    sys.stdout.write("".join(entry.text for entry in found))


if __name__ == "__main__":
    main(sys.argv[1])
