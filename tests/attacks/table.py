"""The rows of attacks.toml, what is wrong with them, and the page that is made of them."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explain" / "attacks.md"
HEAD = """\
# Attacks, and what stands in the way

`make attacks` takes each defence out, in a copy of the source: the test beside it must then fail. The table is made of
`tests/attacks/attacks.toml` (`make reference`). Who is trusted with what: [Security](../security.md).

| attack | defence | test |
|---|---|---|
"""


@dataclass(frozen=True)
class Attack:
    """One row. The defence is taken out of ``file`` by replacing ``old``; ``select`` are some of the test's cases."""

    name: str
    defence: str
    file: str
    old: str
    new: str
    test: str
    select: str = ""

    @property
    def place(self) -> tuple[Path, str]:
        """The test's file, and its name there."""
        file, _, name = self.test.partition("::")
        return ROOT / file, name

    def take_out(self, root: Path) -> str:
        """Take the defence out of the source at this root; return the file as it was."""
        file = root / self.file
        text = file.read_text()
        file.write_text(text.replace(self.old, self.new))
        return text


def read_table() -> Sequence[Attack]:
    """Return all rows."""
    rows = tomllib.loads(Path(__file__).with_name("attacks.toml").read_text())["attack"]
    return [Attack(**row) for row in rows]


def wrong_with(attack: Attack) -> Iterator[str]:
    """Yield what no longer fits: the defence that is to be taken out, or the test."""
    found = (ROOT / attack.file).read_text().count(attack.old)
    if found != 1 or attack.old == attack.new:
        yield f"{attack.name}: {attack.file} has {attack.old!r} {found} times"
    file, name = attack.place
    if not file.is_file() or not re.search(rf"^def {re.escape(name)}\(", file.read_text(), re.MULTILINE):
        yield f"{attack.name}: there is no test {attack.test}"


def page(rows: Sequence[Attack]) -> str:
    """Return the page of the documentation."""
    lines = (f"| {each.name} | {each.defence} | `{each.place[1]}` |\n" for each in rows)
    return HEAD + "".join(lines)
